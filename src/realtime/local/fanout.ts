import type { Clock } from '../../platform/clock.js';
import type { Ephemeral, WireNotification } from '../contract.js';
import {
  endedStream,
  floorOf,
  isVolatile,
  toWire,
  type BatchResult,
  type RoomBatch,
  type RoomFanout,
} from '../publishing/fanout.js';
import type { DeliveryLatency } from '../delivery-latency.js';
import type { RealtimeIo } from '../io.js';
import { LocalTails } from './tails.js';
import type { Have, Recent, RecentRooms } from '../reading/recent.js';
import { StreamTexts } from '../publishing/stream-texts.js';
import type { Taps } from '../reading/taps.js';

/** A room whose top was forgotten is cold and is read from Postgres again: a bound on memory, not on what is delivered. */
const maxRooms = 50_000;

interface Top {
  readonly epoch: string;
  readonly seq: number;
  /** What Postgres had when the room began here: below it, more may have been published before it was forgotten. */
  readonly proof: number;
}

/** Single node: the order is kept in memory and frames go straight to this process' sockets. */
export class LocalFanout implements RoomFanout, RecentRooms {
  readonly #tops = new Map<string, Top>();
  readonly #tails = new LocalTails();
  readonly #streams: StreamTexts;
  readonly #taps: Taps;
  readonly #latency: DeliveryLatency;
  #io: RealtimeIo | undefined;

  constructor(taps: Taps, latency: DeliveryLatency, clock: Clock) {
    this.#taps = taps;
    this.#streams = new StreamTexts(clock);
    this.#latency = latency;
  }

  /** Until a server is attached there is nobody to hear anything. */
  attach(io: RealtimeIo): void {
    this.#io = io;
  }

  publish(batches: readonly RoomBatch[]): Promise<readonly BatchResult[]> {
    return Promise.resolve(batches.map((batch) => this.#publishRoom(batch)));
  }

  ephemeral(room: string, frame: Ephemeral): boolean {
    if (frame.event === 'delta' && !this.#streams.offer(room, frame.payload)) return true;
    const target = isVolatile(frame) ? this.#io?.volatile.to(room) : this.#io?.to(room);
    if (frame.event === 'progress') target?.emit('progress', frame.payload);
    else target?.emit('delta', frame.payload);
    this.#taps.ephemeral(room, frame);
    return true;
  }

  /** Memory and sockets are of one process and one turn: what is beyond the top was not published, whoever read it. */
  read(room: string, have: Have | undefined): Promise<Recent> {
    const known = this.#tops.get(room);
    const streams = this.#streams.of(room);
    if (have === undefined || known?.epoch !== have.epoch || known.seq < known.proof)
      return Promise.resolve({ tail: undefined, streams });
    const notifications = this.#tails.since(room, have.epoch, have.seq, known.seq);
    return Promise.resolve({ tail: notifications && { top: known.seq, notifications }, streams });
  }

  #publishRoom(batch: RoomBatch): BatchResult {
    const known = this.#tops.get(batch.room);
    const remembered = known?.epoch === batch.epoch ? known.seq : -1;
    const first = Math.max(remembered, floorOf(batch) ?? -1);
    const proof = remembered === -1 ? (batch.asOf?.head ?? 0) : (known?.proof ?? 0);
    let top = first;
    for (const entry of batch.entries) {
      if (entry.seq <= top) continue;
      if (top === -1) return { outcome: 'gap', top: undefined, fresh: 0 };
      if (entry.seq > top + 1) {
        this.#remember(batch, top, proof);
        return { outcome: 'gap', top, fresh: top - first };
      }
      this.#emit(batch.room, toWire(entry));
      top = entry.seq;
    }
    this.#remember(batch, top, proof);
    return { outcome: 'published', top, fresh: top - first };
  }

  #emit(room: string, notification: WireNotification): void {
    const ended = endedStream(notification);
    if (ended !== undefined) this.#streams.end(room, ended);
    this.#tails.append(room, notification);
    this.#io?.to(room).emit('notification', notification);
    this.#taps.notification(room, notification);
    if (this.#io?.sockets.adapter.rooms.has(room) === true) this.#latency.saw(() => notification);
  }

  #remember({ room, epoch }: RoomBatch, seq: number, proof: number): void {
    // Taken out and put back: a Map keeps the order of insertion, so its first key is the one longest unused.
    this.#tops.delete(room);
    this.#tops.set(room, { epoch, seq, proof });
    if (this.#tops.size > maxRooms) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#tops.keys().next().value ?? '';
    this.#tops.delete(oldest);
    this.#tails.cut(oldest);
  }
}
