import type { Ephemeral, WireNotification } from './contract.js';
import { floorOf, isVolatile, toWire, type BatchResult, type RoomBatch, type RoomFanout } from './fanout.js';
import type { RealtimeIo } from './io.js';
import type { Taps } from './taps.js';

/** A room whose top was forgotten is cold and is read from Postgres again: a bound on memory, not on what is delivered. */
const maxRooms = 50_000;

interface Top {
  readonly epoch: string;
  readonly seq: number;
}

/** Single node: the order is kept in memory and frames go straight to this process' sockets. */
export class LocalFanout implements RoomFanout {
  readonly #tops = new Map<string, Top>();
  readonly #taps: Taps;
  #io: RealtimeIo | undefined;

  constructor(taps: Taps) {
    this.#taps = taps;
  }

  /** Until a server is attached there is nobody to hear anything. */
  attach(io: RealtimeIo): void {
    this.#io = io;
  }

  publish(batches: readonly RoomBatch[]): Promise<readonly BatchResult[]> {
    return Promise.resolve(batches.map((batch) => this.#publishRoom(batch)));
  }

  ephemeral(room: string, frame: Ephemeral): boolean {
    const target = isVolatile(frame) ? this.#io?.volatile.to(room) : this.#io?.to(room);
    if (frame.event === 'progress') target?.emit('progress', frame.payload);
    else target?.emit('delta', frame.payload);
    this.#taps.ephemeral(room, frame);
    return true;
  }

  #publishRoom(batch: RoomBatch): BatchResult {
    const known = this.#tops.get(batch.room);
    const remembered = known?.epoch === batch.epoch ? known.seq : -1;
    const first = Math.max(remembered, floorOf(batch) ?? -1);
    let top = first;
    for (const entry of batch.entries) {
      if (entry.seq <= top) continue;
      if (top === -1 || entry.seq > top + 1) return this.#gap(batch, first, top);
      this.#emit(batch.room, toWire(entry));
      top = entry.seq;
    }
    this.#remember(batch, top);
    return { outcome: 'published', top, fresh: top - first };
  }

  #emit(room: string, notification: WireNotification): void {
    this.#io?.to(room).emit('notification', notification);
    this.#taps.notification(room, notification);
  }

  #gap(batch: RoomBatch, first: number, top: number): BatchResult {
    if (top === -1) return { outcome: 'gap', top: undefined, fresh: 0 };
    this.#remember(batch, top);
    return { outcome: 'gap', top, fresh: top - first };
  }

  #remember({ room, epoch }: RoomBatch, seq: number): void {
    // Taken out and put back: a Map keeps the order of insertion, so its first key is the one longest unused.
    this.#tops.delete(room);
    this.#tops.set(room, { epoch, seq });
    if (this.#tops.size > maxRooms) this.#tops.delete(this.#tops.keys().next().value ?? '');
  }
}
