import type { Ephemeral, RoomHead, StreamEvents, SubscribeRequest, WireNotification } from '../contract.js';
import type { RoomAnswer, RoomReader } from './room-reader.js';
import { roomKey, wireName, type Room } from '../rooms.js';
import type { RoomTap } from './tap.js';

export type StreamFrame = {
  [Event in keyof StreamEvents]: { readonly event: Event; readonly payload: StreamEvents[Event] };
}[keyof StreamEvents];

/** Where a client goes on from; in a room that was empty, when that was. */
export type StreamSince = NonNullable<SubscribeRequest['since']>;

/** Where a stream goes: one client's connection. What is sent after its end goes nowhere. */
export interface StreamSink {
  /** `at` is where a client that got this frame goes on from; ephemeral frames have none. */
  send(frame: StreamFrame, at?: StreamSince): void;
  /** Resolves when the client has taken what was sent, more or less; or has left. */
  drained(): Promise<void>;
}

export interface RoomStreamDeps {
  readonly tap: RoomTap;
  readonly reader: Pick<RoomReader, 'read'>;
}

export interface RoomStreamOptions {
  readonly room: Room;
  /** The last notification that the client has; without it, only what comes from now on. */
  readonly since: StreamSince | undefined;
  /** When the token ends: milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  /** The room could not be read: the stream is at its end. */
  readonly onFailure: (thrown: unknown) => void;
}

/** Frames that wait while the room is read; what is beyond is read too. */
const maxWaiting = 256;

/**
 * A room's notifications in order, once: listens first and reads then, so what is committed in between is in one of the two, and
 * drops what it has by its number. A gap, a loss of the connection to Redis or a doubt (`check`) is answered by reading, which finds
 * all that was published: a frame that does not fit is therefore not kept.
 *
 *     reading ─▶ live ─▶ (gap, check) ─▶ reading
 *        └─▶ reset: what is missing is gone; goes on from the newest
 */
export class RoomStream {
  readonly #deps: RoomStreamDeps;
  readonly #options: RoomStreamOptions;
  readonly #sink: StreamSink;
  readonly #key: string;
  #cursor: RoomHead = { epoch: null, seq: 0 };
  /** What arrived while the room is read; undefined while it is not. */
  #waiting: (WireNotification | Ephemeral)[] | undefined = [];
  #isBehind = false;
  #isClosed = false;
  #endTap: () => void = () => undefined;

  constructor(deps: RoomStreamDeps, options: RoomStreamOptions, sink: StreamSink) {
    this.#deps = deps;
    this.#options = options;
    this.#sink = sink;
    this.#key = roomKey(options.room);
  }

  /** Resolves when the room was read for the first time, with what begins the stream. @throws SynapError `unavailable` */
  async open(): Promise<() => void> {
    this.#endTap = this.#deps.tap.tap(this.#key, {
      onNotification: (notification) => this.#onFrame(notification),
      onEphemeral: (frame) => this.#onFrame(frame),
      onCheck: () => this.check(),
    });
    try {
      const { since } = this.#options;
      const answer = await this.#deps.reader.read({ room: this.#key, since, paged: true });
      this.#cursor = headOf(since ?? answer);
      return () => {
        this.#sendReady(answer);
        void this.#catchUp(answer);
      };
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  /** Something may have been missed: reads. */
  check(): void {
    this.#isBehind = true;
    if (this.#waiting === undefined) void this.#catchUp();
  }

  close(): void {
    this.#isClosed = true;
    this.#endTap();
  }

  #onFrame(frame: WireNotification | Ephemeral): void {
    if (this.#waiting === undefined) {
      this.#take(frame);
      if (this.#isBehind) void this.#catchUp();
    } else if (this.#waiting.length < maxWaiting) this.#waiting.push(frame);
    else this.#isBehind = true;
  }

  #take(frame: WireNotification | Ephemeral): void {
    if ('payload' in frame) return this.#sink.send(frame);
    const { epoch, seq } = this.#cursor;
    const isOurs = frame.epoch === epoch || epoch === null;
    if (isOurs && frame.seq === seq + 1) this.#send(frame);
    else if (frame.epoch !== epoch || frame.seq > seq) this.#isBehind = true;
  }

  /** Reads what is missing, then takes what arrived meanwhile, until that fits. One at a time: `#waiting` says so. */
  async #catchUp(first?: RoomAnswer): Promise<void> {
    try {
      this.#waiting ??= [];
      if (first !== undefined) await this.#sendFirst(first);
      do {
        while (this.#isBehind) {
          this.#isBehind = false;
          await this.#readOn();
        }
        await this.#takeWaiting(this.#waiting);
      } while (this.#mustReadAgain());
      this.#waiting = undefined;
    } catch (thrown) {
      if (!this.#isClosed) this.#options.onFailure(thrown);
    }
  }

  async #sendFirst(answer: RoomAnswer): Promise<void> {
    if (this.#options.since !== undefined && (await this.#sendAnswer(answer))) await this.#readOn();
    else this.#sendTexts(answer);
  }

  async #readOn(): Promise<void> {
    while (!this.#isClosed) {
      const answer = await this.#deps.reader.read({ room: this.#key, since: this.#cursor, paged: true });
      if (!(await this.#sendAnswer(answer))) return this.#sendTexts(answer);
    }
  }

  /** The texts that are being written, as far as they have come, behind what was missed: what arrives live continues them. */
  #sendTexts({ streams = [] }: RoomAnswer): void {
    for (const payload of streams) this.#sink.send({ event: 'delta', payload });
  }

  /** @returns whether there is more to read; no faster than the client takes it */
  async #sendAnswer(answer: RoomAnswer): Promise<boolean> {
    if (answer.reset !== undefined) this.#reset(answer.reset, headOf(answer));
    for (const notification of answer.notifications) {
      this.#send(notification);
      await this.#sink.drained();
    }
    return answer.hasMore === true;
  }

  async #takeWaiting(waiting: (WireNotification | Ephemeral)[]): Promise<void> {
    for (let frame = waiting.shift(); frame !== undefined && !this.#isClosed; frame = waiting.shift()) {
      this.#take(frame);
      if (this.#isBehind) return;
      await this.#sink.drained();
    }
  }

  #mustReadAgain(): boolean {
    return this.#isBehind && !this.#isClosed;
  }

  #sendReady(answer: RoomAnswer): void {
    const { room, expiresAt } = this.#options;
    const expiry = expiresAt === undefined ? null : new Date(expiresAt).toISOString();
    const payload = { room: wireName(room), ...headOf(answer), at: answer.at, expiresAt: expiry };
    this.#sink.send({ event: 'ready', payload }, { at: answer.at, ...this.#cursor });
  }

  #send(notification: WireNotification): void {
    this.#cursor = { epoch: notification.epoch, seq: notification.seq };
    this.#sink.send({ event: 'notification', payload: notification }, this.#cursor);
  }

  #reset(reason: StreamEvents['reset']['reason'], head: RoomHead): void {
    this.#cursor = head;
    this.#sink.send({ event: 'reset', payload: { room: wireName(this.#options.room), reason, ...head } }, head);
  }
}

const headOf = ({ epoch, seq }: RoomHead): RoomHead => ({ epoch, seq });
