interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** What is published again was published within the last second: so many other rooms do not come between. */
const maxRooms = 10_000;

/**
 * How far each room went to this process' sockets. A Redis that forgot how far a room was published is told its last quarter of a second
 * again; clients that keep numbers drop it, and for those that keep none it is dropped here. Rooms that were quiet for as long as
 * thousands of others were not are forgotten.
 */
export class PassedNotifications {
  #newer = new Map<string, Position>();
  #older = new Map<string, Position>();

  /** Notes that it goes out now. @returns false where it, or a later one of its room, went out before */
  pass(room: string, { epoch, seq }: Position): boolean {
    const last = this.#newer.get(room) ?? this.#older.get(room);
    if (last?.epoch === epoch && seq <= last.seq) return false;
    this.#newer.set(room, { epoch, seq });
    if (this.#newer.size >= maxRooms) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    return true;
  }
}
