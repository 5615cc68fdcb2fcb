import type { Clock } from '../platform/clock.js';
import type { Ephemeral, RoomHead, StreamEvents, WireNotification } from './contract.js';
import { toWire } from './fanout.js';
import { pageSize, type NotificationLog, type RoomPage } from './postgres-log.js';
import { roomKey, wireName, type Room } from './rooms.js';
import type { RoomTap } from './tap.js';

export type StreamFrame = {
  [Event in keyof StreamEvents]: { readonly event: Event; readonly payload: StreamEvents[Event] };
}[keyof StreamEvents];

/** Where a stream goes: one client's connection. */
export interface StreamSink {
  /** `at` is where a client that got this frame goes on from; ephemeral frames have none. */
  send(frame: StreamFrame, at?: RoomHead): void;
  /** Resolves when the client has taken what was sent, more or less; or has left. */
  drained(): Promise<void>;
}

export interface RoomStreamDeps {
  readonly tap: RoomTap;
  readonly log: Pick<NotificationLog, 'replay'>;
  readonly clock: Clock;
}

export interface RoomStreamOptions {
  readonly room: Room;
  /** The last notification that the client has; without it, only what comes from now on. */
  readonly since: RoomHead | undefined;
  /** When the token ends: milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  /** The log could not be read: the stream is at its end. */
  readonly onFailure: (thrown: unknown) => void;
}

/** Frames that wait while the log is read; what is beyond is read from the log, too. */
const maxWaiting = 256;

/**
 * A room's notifications in order, once: listens first and reads then, so what is committed in between is in one of the two, and
 * drops what it has by its number. A gap, a loss of the connection to Redis or a doubt (`check`) is answered from the log, which has
 * all that was published: a frame that does not fit is therefore not kept.
 *
 *     reading ─▶ live ─▶ (gap, check) ─▶ reading
 *        └─▶ reset: what is missing is gone; goes on from the newest
 */
export class RoomStream {
  readonly #deps: RoomStreamDeps;
  readonly #options: RoomStreamOptions;
  readonly #sink: StreamSink;
  #cursor: RoomHead = { epoch: null, seq: 0 };
  /** What arrived while the log is read; undefined while nothing is. */
  #waiting: (WireNotification | Ephemeral)[] | undefined = [];
  #isBehind = false;
  #isClosed = false;
  #endTap: () => void = () => undefined;

  constructor(deps: RoomStreamDeps, options: RoomStreamOptions, sink: StreamSink) {
    this.#deps = deps;
    this.#options = options;
    this.#sink = sink;
  }

  /** Resolves when the first of the log is read, with what begins the stream. @throws SynapError `unavailable` */
  async open(): Promise<() => void> {
    this.#endTap = this.#deps.tap.tap(roomKey(this.#options.room), {
      onNotification: (notification) => this.#onFrame(notification),
      onEphemeral: (frame) => this.#onFrame(frame),
      onCheck: () => this.check(),
    });
    try {
      const { since } = this.#options;
      const page = await this.#read(since);
      const head = headOf(page);
      this.#cursor = since ?? head;
      return () => {
        this.#sendReady(head);
        void this.#catchUp(since === undefined ? undefined : { page });
      };
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  /** Something may have been missed: looks into the log. */
  check(): void {
    this.#isBehind = true;
    if (this.#waiting === undefined) void this.#catchUp();
  }

  /** What is sent after it goes nowhere: the sink has ended too. */
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
  async #catchUp(first?: { readonly page: RoomPage | undefined }): Promise<void> {
    let known = first;
    this.#isBehind ||= first !== undefined;
    try {
      do {
        this.#waiting ??= [];
        while (this.#isBehind) {
          this.#isBehind = false;
          await this.#readPages(known);
          known = undefined;
        }
        await this.#takeWaiting(this.#waiting);
      } while (this.#mustReadAgain());
      this.#waiting = undefined;
    } catch (thrown) {
      if (!this.#isClosed) this.#options.onFailure(thrown);
    }
  }

  /** No faster than the client reads. */
  async #takeWaiting(waiting: (WireNotification | Ephemeral)[]): Promise<void> {
    for (let frame = waiting.shift(); frame !== undefined && !this.#isClosed; frame = waiting.shift()) {
      this.#take(frame);
      if (this.#isBehind) return;
      await this.#sink.drained();
    }
  }

  async #readPages(first?: { readonly page: RoomPage | undefined }): Promise<void> {
    let known = first;
    while (!this.#isClosed) {
      const page = known === undefined ? await this.#read(this.#cursor) : known.page;
      known = undefined;
      const missed = missedSince(this.#cursor, page);
      if (missed === 'epoch_changed' || missed === 'too_old') return this.#reset(missed, headOf(page));
      for (const notification of missed) {
        this.#send(notification);
        await this.#sink.drained();
      }
      if (page === undefined || page.entries.length <= pageSize) return;
    }
  }

  #mustReadAgain(): boolean {
    return this.#isBehind && !this.#isClosed;
  }

  #read(since: RoomHead | undefined): Promise<RoomPage | undefined> {
    const after = since?.seq ?? Number.MAX_SAFE_INTEGER;
    return this.#deps.log.replay({ room: roomKey(this.#options.room), epoch: since?.epoch ?? undefined, after });
  }

  #sendReady(head: RoomHead): void {
    const { room, expiresAt } = this.#options;
    const times = {
      at: new Date(this.#deps.clock.now()).toISOString(),
      expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    };
    this.#sink.send({ event: 'ready', payload: { room: wireName(room), ...head, ...times } }, this.#cursor);
  }

  #send(notification: WireNotification): void {
    this.#cursor = { epoch: notification.epoch, seq: notification.seq };
    this.#sink.send({ event: 'notification', payload: notification }, this.#cursor);
  }

  #reset(reason: 'epoch_changed' | 'too_old', head: RoomHead): void {
    this.#cursor = head;
    this.#sink.send({ event: 'reset', payload: { room: wireName(this.#options.room), reason, ...head } }, head);
  }
}

const headOf = (page: RoomPage | undefined): RoomHead =>
  page === undefined ? { epoch: null, seq: 0 } : { epoch: page.epoch, seq: page.lastSeq };

/** The page's notifications if nothing is missing between the cursor and them, and up to the head or to the end of a full page. */
function missedSince(cursor: RoomHead, page: RoomPage | undefined): WireNotification[] | 'epoch_changed' | 'too_old' {
  if (page === undefined) return cursor.epoch === null ? [] : 'too_old';
  if (cursor.epoch !== null && cursor.epoch !== page.epoch) return 'epoch_changed';
  const { entries, lastSeq } = page;
  const isUnbroken = entries.every(({ seq }, index) => seq === cursor.seq + index + 1);
  const isWhole = entries.length > pageSize || cursor.seq + entries.length === lastSeq;
  return isUnbroken && isWhole ? entries.map(toWire) : 'too_old';
}
