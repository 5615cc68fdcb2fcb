import type { Clock } from '../../platform/clock.js';
import { runStatement, type Database, type Statement } from '../../platform/database.js';
import { toError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { AcknowledgeRequest } from '../contract.js';

export interface AcknowledgementsDeps {
  readonly database: Pick<Database, 'pool'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Up to where a room has reached somebody, as clients say: cumulative, so one that is lost is made good by the next. */
export type Reached = Pick<AcknowledgeRequest, 'epoch' | 'delivered' | 'seen'>;

interface Mark {
  readonly room: string;
  readonly epoch: string;
  readonly delivered: number;
  readonly seen: number;
}

interface WrittenRow {
  readonly room: string;
  readonly changed: boolean;
  readonly lowest: number | null;
}

const writeEveryMs = 1_000;
const roomsPerStatement = 100;
/** Entries of a room that one statement looks at. */
const stretch = 500;
/** … and how many of them an acknowledgement goes down at most. */
const maxStretches = 20;
/** Rooms that wait to be written; what is beyond is dropped, and the room's next acknowledgement says it again. */
const maxRooms = 20_000;

/**
 * A stretch of each room, downwards from what is acknowledged. The first time of a mark stays. Rows are locked in the order of their
 * ids, as everybody locks them. No index has these columns, so that a page with room takes the new row beside the old one (HOT).
 */
const write: Statement = {
  name: 'realtime-acknowledge',
  text: `
    WITH want AS (
      SELECT w.* FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[]) AS w(room, epoch, delivered, seen)
      CROSS JOIN LATERAL (SELECT FROM rooms r WHERE r.key = w.room AND r.epoch = w.epoch LIMIT 1) r
    ), entry AS MATERIALIZED (
      SELECT w.room, x.seq, x."notificationId", x.seq <= w.seen AS "isSeen"
      FROM want w CROSS JOIN LATERAL (
        SELECT seq, "notificationId" FROM room_entries
        WHERE room = w.room AND seq <= GREATEST(w.delivered, w.seen) ORDER BY seq DESC LIMIT $5
      ) x
    ), free AS MATERIALIZED (
      SELECT n.id FROM notifications n
      JOIN (SELECT "notificationId", bool_or("isSeen") AS "isSeen" FROM entry GROUP BY 1) e ON n.id = e."notificationId"
      WHERE n."deliveredAt" IS NULL OR (e."isSeen" AND n."seenAt" IS NULL)
      ORDER BY n.id FOR NO KEY UPDATE OF n
    ), marked AS (
      UPDATE notifications n SET "deliveredAt" = coalesce(n."deliveredAt", now()),
             "seenAt" = CASE WHEN e."isSeen" THEN coalesce(n."seenAt", now()) ELSE n."seenAt" END
      FROM free JOIN (SELECT "notificationId", bool_or("isSeen") AS "isSeen" FROM entry GROUP BY 1) e
        ON free.id = e."notificationId"
      WHERE n.id = free.id RETURNING n.id
    )
    SELECT e.room, bool_or(m.id IS NOT NULL) AS changed, CASE WHEN count(*) = $5 THEN min(e.seq) END AS lowest
    FROM entry e LEFT JOIN marked m ON m.id = e."notificationId" GROUP BY e.room`,
};

/**
 * What clients acknowledge, kept per room and written once a second in one statement for many rooms. A crash loses up to a second of
 * it, without harm: the times tell people what happened and decide nothing, and the next acknowledgement covers what came before.
 * Of a long backlog a statement takes a stretch; the walk down goes on as long as it finds something to mark.
 */
export class Acknowledgements {
  readonly #deps: AcknowledgementsDeps;
  #marks = new Map<string, Mark>();
  #cancel: (() => void) | undefined;
  #writing: Promise<void> | undefined;

  constructor(deps: AcknowledgementsDeps) {
    this.#deps = deps;
  }

  /** @param room the inside key of a room that the caller may write to */
  note(room: string, { epoch, delivered = 0, seen = 0 }: Reached): void {
    if (this.#keep({ room, epoch, delivered, seen })) this.#writeLater();
  }

  /** Writes what was noted, walks included. Rejects where Postgres is away. */
  async drain(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#writing;
    while (this.#marks.size > 0) await this.#write();
  }

  #keep(mark: Mark): boolean {
    const known = this.#marks.get(mark.room);
    if (known === undefined && this.#marks.size >= maxRooms) return false;
    const isSame = known?.epoch === mark.epoch;
    this.#marks.set(mark.room, {
      ...mark,
      delivered: Math.max(mark.delivered, isSame ? known.delivered : 0),
      seen: Math.max(mark.seen, isSame ? known.seen : 0),
    });
    return true;
  }

  #writeLater(): void {
    this.#cancel ??= this.#deps.clock.after(writeEveryMs, () => {
      this.#writing = this.#writeAll().finally(() => {
        this.#writing = undefined;
        this.#cancel = undefined;
        if (this.#marks.size > 0) this.#writeLater();
      });
    });
  }

  async #writeAll(): Promise<void> {
    try {
      await this.#write();
    } catch (thrown) {
      this.#deps.logger.debug({ err: toError(thrown) }, 'acknowledgements are written later');
    }
  }

  /** All that was noted. What could not be written waits for the next time. */
  async #write(): Promise<void> {
    const marks = [...this.#marks.values()];
    this.#marks = new Map();
    for (let from = 0; from < marks.length; from += roomsPerStatement) {
      try {
        await this.#walk(marks.slice(from, from + roomsPerStatement));
      } catch (thrown) {
        for (const mark of marks.slice(from)) this.#keep(mark);
        throw thrown;
      }
    }
  }

  async #walk(marks: readonly Mark[]): Promise<void> {
    let left = marks;
    for (let n = 0; n < maxStretches && left.length > 0; n++) left = below(left, await this.#run(left));
  }

  #run(marks: readonly Mark[]): Promise<WrittenRow[]> {
    return runStatement<WrittenRow>(this.#deps.database.pool, write, [
      marks.map(({ room }) => room),
      marks.map(({ epoch }) => epoch),
      marks.map(({ delivered }) => delivered),
      marks.map(({ seen }) => seen),
      stretch,
    ]);
  }
}

/** Where the walk goes on: in rooms whose stretch was a full one in which something was still to be marked. */
function below(marks: readonly Mark[], rows: readonly WrittenRow[]): Mark[] {
  const byRoom = new Map(rows.map((row) => [row.room, row]));
  return marks.flatMap((mark) => {
    const { changed = false, lowest = null } = byRoom.get(mark.room) ?? {};
    if (!changed || lowest === null) return [];
    return [{ ...mark, delivered: Math.min(mark.delivered, lowest - 1), seen: Math.min(mark.seen, lowest - 1) }];
  });
}
