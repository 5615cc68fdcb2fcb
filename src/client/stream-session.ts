import type { Closing, Refused, RoomHead, SocketErrorCode, StreamReady, Subscribed } from '../realtime/contract.js';
import type { Environment } from './environment.js';
import { RoomStream, type Since, type StreamPlace } from './room-stream.js';
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
const openTimeoutMs = 15_000;

/** Sessions over server-sent events, a stream for each room: for where neither WebSockets nor long polling come through. */
export function streamSessions(base: string, environment: Environment): OpenSession {
  return (token, listener) => new StreamSession({ base, environment, token }, listener);
}

class StreamSession implements Session {
  readonly #place: StreamPlace;
  readonly #listener: SessionListener;
  readonly #streams = new Map<string, RoomStream>();
  /** Not heard from yet; until then, the one before it goes on. */
  readonly #opening = new Map<string, RoomStream>();
  /** A room's subscriptions, which may be of several tabs, are answered one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #answers: { readonly [Name in keyof Calls]: (message: Calls[Name][0]) => Promise<Calls[Name][1]> } = {
    subscribe: (request) => this.#inTurn(request.room, () => this.#subscribe(request)),
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
    for (const room of [...this.#streams.keys(), ...this.#opening.keys()]) this.#leave(room);
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
      this.#listener.onOpen();
    } catch {
      this.#end({ code: undefined, message: 'out of reach' });
    }
  }

  #inTurn<T>(room: string, run: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(room) ?? Promise.resolve()).then(run);
    const over = turn
      .catch(() => undefined)
      .then(() => {
        if (this.#turns.get(room) === over) this.#turns.delete(room);
      });
    this.#turns.set(room, over);
    return turn;
  }

  /**
   * One stream for all who are in the room. It is opened anew for each that comes, from where the last of them is: what the others
   * know already they drop. The one before it goes on until then, and where the room is refused.
   */
  async #subscribe({ room, since }: Calls['subscribe'][0]): Promise<Subscribed | Refused> {
    if (this.#hasEnded) throw new ConnectionLost();
    const before = this.#streams.get(room);
    const said = since && before && this.#resetAfter(room, since, before);
    if (said !== undefined) return said;
    if (before === undefined && this.#streams.size + this.#opening.size >= maxStreams)
      return { ok: false, code: 'unavailable', message: `${maxStreams} streams are open already.` };
    const stream = this.#create(room);
    const ready = await this.#ready(room, stream, earlier(since, before?.position));
    if ('ok' in ready) return this.#refused(ready);
    before?.close();
    const reset = since && this.#resetAfter(room, since, stream);
    // What was missed comes as if it were live; only who began now begins at the head.
    return reset ?? answer(room, { ...(since ?? ready), at: ready.at }, { recovered: since !== undefined });
  }

  /** Its place among the streams is taken from when the server has said its first word. */
  async #ready(room: string, stream: RoomStream, from: Since | undefined): Promise<StreamReady | Refused> {
    this.#opening.set(room, stream);
    try {
      const ready = await stream.open(room, from);
      if ('ok' in ready) stream.close();
      // Left, or ended, in this very moment.
      else if (this.#opening.get(room) !== stream) throw new ConnectionLost();
      else this.#streams.set(room, stream);
      return ready;
    } finally {
      if (this.#opening.get(room) === stream) this.#opening.delete(room);
    }
  }

  #create(room: string): RoomStream {
    const isOurs = () => this.#streams.get(room) === stream || this.#opening.get(room) === stream;
    const stream: RoomStream = new RoomStream(this.#place, {
      ...this.#listener,
      // Whoever is behind it subscribes again, and is answered with the reset.
      onReset: (head) => this.#listener.onPong({ type: 'pong', timestamp: this.#now(), heads: { [room]: head } }),
      onClosing: (closing) => this.#listener.onClosing(closing),
      onEnd: (end) => isOurs() && this.#end(end),
    });
    return stream;
  }

  #resetAfter(room: string, since: Since, stream: RoomStream): Subscribed | undefined {
    const reset = stream.lostAfter(since);
    if (reset === undefined || stream.position === undefined) return undefined;
    const { at = this.#now(), ...head } = stream.position;
    return answer(room, { ...head, at }, { reset });
  }

  #refused(refusal: Refused): Refused {
    const { code, message } = refusal;
    if (code === 'token_expired' || code === 'token_invalid' || code === 'unauthenticated')
      this.#end({ code, message });
    return refusal;
  }

  #now(): string {
    return new Date(this.#place.environment.now()).toISOString();
  }

  #leave(room: string): void {
    const streams = [this.#streams.get(room), this.#opening.get(room)];
    this.#streams.delete(room);
    this.#opening.delete(room);
    for (const stream of streams) stream?.close();
  }

  #end(end: SessionEnd): void {
    if (this.#hasEnded) return;
    this.close();
    this.#listener.onEnd(end);
  }
}

/** The one after which both begin; of two epochs, the one that is asked for now. */
function earlier(since: Since | undefined, position: Since | undefined): Since | undefined {
  if (since === undefined || position === undefined) return since ?? position;
  const isBefore = position.epoch === null || (position.epoch === since.epoch && position.seq <= since.seq);
  return isBefore ? position : since;
}

function answer(room: string, { epoch, seq, at }: RoomHead & { readonly at: string }, more: Partial<Subscribed>) {
  return { ...{ ok: true as const, room, at, epoch, seq, recovered: false, notifications: [] }, ...more };
}

/** The problem's code, where it is one that sockets have too. */
async function codeOf(response: Response): Promise<SocketErrorCode | undefined> {
  const problem = (await response.json().catch(() => undefined)) as Partial<Closing> | undefined;
  return problem?.code;
}
