import type {
  Closing,
  Refused,
  ResetReason,
  RoomHead,
  SocketErrorCode,
  StreamReady,
  StreamReset,
  SubscribeRequest,
} from '../realtime/contract.js';
import type { Environment } from './environment.js';
import { EventStreamParser, type StreamEvent } from './event-stream.js';
import { ConnectionLost, type SessionEnd, type SessionListener } from './session.js';

export interface StreamPlace {
  readonly base: string;
  readonly environment: Environment;
  readonly token: string;
}

/** Where a reader goes on from. */
export type Since = NonNullable<SubscribeRequest['since']>;

export interface RoomStreamListener extends Pick<
  SessionListener,
  'onNotifications' | 'onProgress' | 'onDelta' | 'onClosing'
> {
  onReset(head: RoomHead): void;
  onEnd(end: SessionEnd): void;
}

/** The server writes at least a heartbeat every 15 s. */
const silenceMs = 45_000;

/** `GET /v1/notifications/stream`: one room, from its beginning to its end. */
export class RoomStream {
  readonly #place: StreamPlace;
  readonly #listener: RoomStreamListener;
  readonly #abort = new AbortController();
  readonly #ready = Promise.withResolvers<StreamReady>();
  #position: Since | undefined;
  #reset: { readonly from: Since | undefined; readonly reason: ResetReason } | undefined;
  #code: SocketErrorCode | undefined;
  #cancelSilence = () => {};

  constructor(place: StreamPlace, listener: RoomStreamListener) {
    this.#place = place;
    this.#listener = listener;
    this.#ready.promise.catch(() => undefined);
  }

  /** All up to here was given out; undefined before the server has said where a stream without a place begins. */
  get position(): Since | undefined {
    return this.#position;
  }

  /** Why what came after `since` is not to be had any more, where this stream has said so. */
  lostAfter(since: Since): ResetReason | undefined {
    const { from, reason } = this.#reset ?? {};
    return from?.epoch === since.epoch && since.seq <= from.seq ? reason : undefined;
  }

  /** Resolves with the server's first word, or with what refuses the room. Rejects with ConnectionLost. */
  async open(room: string, since: Since | undefined): Promise<StreamReady | Refused> {
    const { base, environment, token } = this.#place;
    this.#position = since;
    this.#hush();
    try {
      const response = await environment.fetch(`${base}/v1/notifications/stream?room=${encodeURIComponent(room)}`, {
        headers: {
          Authorization: `Bearer ${token}`,
          ...(since && { 'Last-Event-ID': toEventId(since) }),
        },
        signal: this.#abort.signal,
      });
      if (!response.ok || response.body === null) return await refusal(response);
      void this.#read(response.body);
    } catch {
      this.#end();
    }
    return this.#ready.promise;
  }

  close(): void {
    this.#cancelSilence();
    this.#abort.abort();
    this.#ready.reject(new ConnectionLost());
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = new EventStreamParser();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        this.#hush();
        for (const event of parser.add(decoder.decode(part.value, { stream: true }))) this.#take(event);
      }
    } catch {
      // Cut off, or closed by us.
    }
    this.#end();
  }

  #take({ event, data }: StreamEvent): void {
    if (data === '' || this.#abort.signal.aborted) return;
    const payload: unknown = JSON.parse(data);
    const { onNotifications, onProgress, onDelta, onReset, onClosing } = this.#listener;
    if (event === 'ready') this.#begin(payload as StreamReady);
    else if (event === 'notification') this.#go(payload as RoomHead, () => onNotifications([payload as never]));
    else if (event === 'progress') onProgress(payload as never);
    else if (event === 'delta') onDelta(payload as never);
    else if (event === 'reset') {
      const { reason, epoch, seq } = payload as StreamReset;
      this.#reset = { from: this.#position, reason };
      this.#go({ epoch, seq }, () => onReset({ epoch, seq }));
    } else if (event === 'closing') {
      this.#code = (payload as Closing).code;
      onClosing(payload as Closing);
    }
  }

  #begin(ready: StreamReady): void {
    const { epoch, seq } = this.#position ?? ready;
    this.#position = { epoch, seq, at: ready.at };
    this.#ready.resolve(ready);
  }

  #go({ epoch, seq }: RoomHead, give: () => void): void {
    this.#position = { ...this.#position, epoch, seq };
    give();
  }

  #hush(): void {
    this.#cancelSilence();
    this.#cancelSilence = this.#place.environment.after(silenceMs, () => this.#end());
  }

  #end(): void {
    this.close();
    this.#listener.onEnd({ code: this.#code, message: 'the stream ended' });
  }
}

/** As the server writes it: of a room that was empty with the time, so that one that was emptied since can be told from it. */
function toEventId({ epoch, seq, at }: Since): string {
  const id = `${epoch ?? 'null'}.${seq}`;
  return epoch === null && at !== undefined ? `${id}.${Date.parse(at)}` : id;
}

const refusals: Readonly<Record<number, SocketErrorCode>> = {
  400: 'invalid_room',
  401: 'token_invalid',
  403: 'forbidden',
};

async function refusal(response: Response): Promise<Refused> {
  const problem = (await response.json().catch(() => ({}))) as { readonly detail?: string; readonly title?: string };
  const message = problem.detail ?? problem.title ?? `HTTP ${response.status}`;
  return { ok: false, code: refusals[response.status] ?? 'unavailable', message };
}
