import { roughSize } from '../../platform/rough-size.js';
import type { WireNotification } from '../contract.js';
import { tailBounds } from '../redis/publish-script.js';

interface Tail {
  readonly epoch: string;
  readonly entries: WireNotification[];
  bytes: number;
}

/** Of all tails together; those of the rooms that were quiet for longest go first. */
const maxBytes = 16 * 1024 * 1024;

/** A single node's tails: what the publish script keeps in Redis. */
export class LocalTails {
  readonly #rooms = new Map<string, Tail>();
  #bytes = 0;

  /** What follows the last entry of the room's tail, or begins it anew. */
  append(room: string, notification: WireNotification): void {
    const size = sizeOf(notification);
    const known = this.#rooms.get(room);
    const follows = known?.epoch === notification.epoch && known.entries.at(-1)?.seq === notification.seq - 1;
    if (!follows || size > tailBounds.entryBytes) this.cut(room);
    if (size > tailBounds.entryBytes) return;
    const tail = follows ? known : { epoch: notification.epoch, entries: [], bytes: 0 };
    tail.entries.push(notification);
    this.#grow(tail, size);
    while (tail.entries.length > tailBounds.entries || tail.bytes > tailBounds.bytes) this.#shift(tail);
    // Taken out and put back: a Map keeps the order of insertion, so its first key is the one longest unused.
    this.#rooms.delete(room);
    this.#rooms.set(room, tail);
    while (this.#bytes > maxBytes) this.cut(this.#rooms.keys().next().value ?? '');
  }

  cut(room: string): void {
    this.#bytes -= this.#rooms.get(room)?.bytes ?? 0;
    this.#rooms.delete(room);
  }

  /** Everything after `seq` up to `top`, or undefined. */
  since(room: string, epoch: string, seq: number, top: number): readonly WireNotification[] | undefined {
    if (seq === top) return [];
    const tail = this.#rooms.get(room);
    if (seq > top || tail?.epoch !== epoch || tail.entries.length < top - seq) return undefined;
    return tail.entries.at(-1)?.seq === top ? tail.entries.slice(seq - top) : undefined;
  }

  #shift(tail: Tail): void {
    const first = tail.entries.shift();
    if (first !== undefined) this.#grow(tail, -sizeOf(first));
  }

  #grow(tail: Tail, bytes: number): void {
    tail.bytes += bytes;
    this.#bytes += bytes;
  }
}

const sizeOf = ({ data }: WireNotification): number => roughSize(data) + 300;
