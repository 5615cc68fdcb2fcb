import type { Closing, Refused, ResetReason, RoomHead, SocketErrorCode, Subscribed } from '../realtime/contract.js';
import type { Environment } from './environment.js';
import { RoomStream, type StreamPlace } from './room-stream.js';
import {
  ConnectionLost,
  type Call,
  type Calls,
  type OpenSession,
  type Session,
  type SessionEnd,
  type SessionListener,
  type Tell,
} from './session.js';

/** Browsers allow six connections to a server that speaks HTTP/1.1, and posting needs one. */
const maxStreams = 4;
/** After so long sockets are tried again. */
const longestMs = 300_000;
const openTimeoutMs = 15_000;

/** Sessions over server-sent events, a stream for each room: for where neither WebSockets nor long polling come through. */
export function streamSessions(base: string, environment: Environment): OpenSession {
  return (token, listener) => new StreamSession({ base, environment, token }, listener);
}

class StreamSession implements Session {
  readonly #place: StreamPlace;
  readonly #listener: SessionListener;
  readonly #streams = new Map<string, RoomStream>();
  /** What a stream said of what is not to be had any more: the answer to the room's next subscription. */
  readonly #resets = new Map<string, RoomHead & { readonly reason: ResetReason }>();
  readonly #answers: { readonly [Name in keyof Calls]: (message: Calls[Name][0]) => Promise<Calls[Name][1]> } = {
    subscribe: (request) => this.#subscribe(request),
    // The token of a stream is the one that it was opened with.
    authenticate: () => Promise.reject(new ConnectionLost()),
    // The server compares by itself where there is a stream.
    ping: () => Promise.resolve({ type: 'pong', timestamp: this.#now(), heads: {} }),
  };
  readonly #cancels: (() => void)[];
  #hasEnded = false;

  constructor(place: StreamPlace, listener: SessionListener) {
    this.#place = place;
    this.#listener = listener;
    const end = (message: string) => () => this.#end({ code: undefined, message });
    this.#cancels = [place.environment.after(openTimeoutMs, end('timeout'))];
    void this.#open();
  }

  readonly call: Call = (name, message) =>
    this.#hasEnded ? Promise.reject(new ConnectionLost()) : this.#answers[name](message);

  readonly tell: Tell = (name, message) => {
    if (name === 'unsubscribe') this.#leave(message.room);
  };

  close(): void {
    this.#hasEnded = true;
    for (const cancel of this.#cancels) cancel();
    for (const room of this.#streams.keys()) this.#leave(room);
  }

  /** Whether this server, and this token, are good for streams is asked before any room is. */
  async #open(): Promise<void> {
    const { base, environment, token } = this.#place;
    try {
      const headers = { Authorization: `Bearer ${token}` };
      const response = await environment.fetch(`${base}/v1/notifications?limit=1`, { headers });
      if (!response.ok) return this.#end({ code: await codeOf(response), message: `HTTP ${response.status}` });
      if (this.#hasEnded) return;
      this.#cancels.splice(0).forEach((cancel) => cancel());
      this.#cancels.push(
        environment.after(longestMs, () => this.#end({ code: undefined, message: 'sockets are tried again' })),
      );
      this.#listener.onOpen();
    } catch {
      this.#end({ code: undefined, message: 'out of reach' });
    }
  }

  async #subscribe({ room, since }: Calls['subscribe'][0]): Promise<Subscribed | Refused> {
    const known = this.#streams.has(room) ? this.#takeReset(room) : undefined;
    if (known !== undefined) return known;
    this.#leave(room);
    if (this.#streams.size >= maxStreams)
      return { ok: false, code: 'unavailable', message: `${maxStreams} streams are open already.` };
    const stream = new RoomStream(this.#place, {
      ...this.#listener,
      onReset: (given) => this.#reset(room, given),
      onClosing: (closing) => this.#listener.onClosing(closing),
      onEnd: (end) => this.#streams.get(room) === stream && this.#end(end),
    });
    this.#streams.set(room, stream);
    const ready = await stream.open(room, since);
    if ('ok' in ready) {
      this.#leave(room);
      if (ready.code === 'token_expired' || ready.code === 'token_invalid' || ready.code === 'unauthenticated')
        this.#end({ code: ready.code, message: ready.message });
      return ready;
    }
    const reset = this.#takeReset(room);
    if (reset !== undefined) return reset;
    // What was missed comes as if it were live; only who began now begins at the head.
    return this.#answer(room, since ?? ready, { recovered: since !== undefined });
  }

  #takeReset(room: string): Subscribed | undefined {
    const reset = this.#resets.get(room);
    this.#resets.delete(room);
    return reset && this.#answer(room, reset, { reset: reset.reason });
  }

  #answer(room: string, { epoch, seq }: RoomHead, more: Partial<Subscribed>): Subscribed {
    return { ...{ ok: true, room, at: this.#now(), epoch, seq, recovered: false, notifications: [] }, ...more };
  }

  /** The room finds itself behind, subscribes again, and is answered with the reset. */
  #reset(room: string, reset: RoomHead & { readonly reason: ResetReason }): void {
    this.#resets.set(room, reset);
    this.#listener.onPong({ type: 'pong', timestamp: this.#now(), heads: { [room]: reset } });
  }

  #now(): string {
    return new Date(this.#place.environment.now()).toISOString();
  }

  #leave(room: string): void {
    this.#resets.delete(room);
    const stream = this.#streams.get(room);
    this.#streams.delete(room);
    stream?.close();
  }

  #end(end: SessionEnd): void {
    if (this.#hasEnded) return;
    this.close();
    this.#listener.onEnd(end);
  }
}

/** The problem's code, where it is one that sockets have too. */
async function codeOf(response: Response): Promise<SocketErrorCode | undefined> {
  const problem = (await response.json().catch(() => undefined)) as Partial<Closing> | undefined;
  return problem?.code;
}
