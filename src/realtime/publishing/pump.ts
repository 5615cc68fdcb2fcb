import type { Clock } from '../../platform/clock.js';
import type { RoomBatch, RoomFanout } from './fanout.js';
import type { NotificationLog, RoomPage, UnpublishedWant } from '../log/postgres-log.js';
import type { PublishedMarks } from './published-marks.js';

const roomsAtOnce = 50;

export interface Healed {
  /** Notifications that were not out before. */
  readonly published: number;
  /** Rooms in which it did not work. */
  readonly failed: readonly string[];
}

export interface PumpListener {
  /** Notifications that were not out before. */
  healed(count: number): void;
  failure(error: unknown): void;
}

/**
 * Publishes from Postgres what is missing in a room: after a gap, after Redis forgot, after a crash. What Postgres shows of a
 * room is always a prefix of it, so it can be published in order; the fan-out drops what is out already.
 */
export class Pump {
  readonly #log: Pick<NotificationLog, 'unpublished'>;
  readonly #fanout: RoomFanout;
  readonly #marks: PublishedMarks;
  readonly #clock: Clock;
  readonly #on: PumpListener;
  readonly #wanted = new Set<string>();
  #running: Promise<void> | undefined;

  constructor(
    log: Pick<NotificationLog, 'unpublished'>,
    fanout: RoomFanout,
    marks: PublishedMarks,
    clock: Clock,
    on: PumpListener,
  ) {
    this.#log = log;
    this.#fanout = fanout;
    this.#marks = marks;
    this.#clock = clock;
    this.#on = on;
  }

  /** Soon, together with what else is wanted. Failures are counted; what they leave is left to the sweeper. */
  want(room: string): void {
    this.#wanted.add(room);
    this.#running ??= this.#run();
  }

  async idle(): Promise<void> {
    await this.#running;
  }

  /** Now. Rejects when Postgres or the fan-out is away. */
  async heal(rooms: readonly string[]): Promise<Healed> {
    let published = 0;
    const failed: string[] = [];
    for (let from = 0; from < rooms.length; from += roomsAtOnce) {
      const some = await this.#healSome(rooms.slice(from, from + roomsAtOnce));
      published += some.published;
      failed.push(...some.failed);
    }
    return { published, failed };
  }

  async #run(): Promise<void> {
    while (this.#wanted.size > 0) {
      const rooms = [...this.#wanted];
      this.#wanted.clear();
      try {
        await this.heal(rooms);
      } catch (error) {
        this.#on.failure(error);
      }
    }
    this.#running = undefined;
  }

  async #healSome(rooms: readonly string[]): Promise<Healed> {
    let published = 0;
    const failed = new Set<string>();
    let wants: UnpublishedWant[] = rooms.map((room) => ({ room, known: this.#marks.known(room) }));
    while (wants.length > 0) {
      const atMs = this.#clock.now();
      const pages = await this.#log.unpublished(wants);
      const batches = pages.flatMap((page) => toBatches(page, atMs));
      const results = await this.#fanout.publish(batches);
      for (const [index, { room, epoch }] of batches.entries()) {
        const result = results[index];
        if (result?.outcome === 'published') {
          published += result.fresh;
          this.#on.healed(result.fresh);
          this.#marks.note(room, { epoch, seq: result.top });
        } else {
          failed.add(room);
          this.#on.failure(result?.outcome === 'failed' ? result.error : new Error('a gap in what Postgres gave'));
        }
      }
      wants = pages.filter((page) => hasMore(page) && !failed.has(page.room)).map(nextWant);
    }
    return { published, failed: [...failed] };
  }
}

/** What comes before an entry in a page is published, or retention took it: a hole is nothing to wait for. */
function toBatches({ room, epoch, lastSeq, entries }: RoomPage, atMs: number): RoomBatch[] {
  const asOf = { head: lastSeq, atMs };
  const starts = entries.flatMap((entry, index) => (entry.seq - 1 === entries[index - 1]?.seq ? [] : [index]));
  return starts.map((start, index) => {
    const run = entries.slice(start, starts[index + 1]);
    return { room, epoch, asOf, entries: run, floor: (run[0]?.seq ?? 1) - 1 };
  });
}

/** Of a page that is not the whole, only its bounds say why; one without entries is the last, whatever retention has left of the rest. */
const hasMore = ({ lastSeq, entries }: RoomPage): boolean => (entries.at(-1)?.seq ?? lastSeq) < lastSeq;

const nextWant = ({ room, epoch, entries }: RoomPage): UnpublishedWant => ({
  room,
  known: { epoch, seq: entries.at(-1)?.seq ?? 0 },
});
