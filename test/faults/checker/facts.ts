import type pg from 'pg';
import type { ClientRecord } from '../client/main.ts';
import type { Heard } from '../listener/room-reader.ts';
import type { SinkRecord } from '../sink/main.ts';

export interface EventFact {
  readonly id: string;
  readonly type: string;
  readonly userId: string;
  readonly requestId: string;
  readonly causationId: string | null;
  readonly source: string;
  readonly state: string;
  readonly fence: number;
  readonly priority: number;
  /** Milliseconds since the epoch, by the database. */
  readonly dueAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly isDeadLetter: boolean;
}

export interface EffectFact {
  readonly eventId: string;
  readonly step: string;
  readonly lane: string | null;
  readonly n: number | null;
}

export interface RoomFact {
  readonly userId: string;
  readonly epoch: string;
  readonly lastSeq: number;
}

export interface EntryFact {
  readonly userId: string;
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly eventId: string;
}

export type HeardFact = Heard & { readonly userId: string };

/** What there is to know when all is over, from four places that know nothing of each other. */
export interface Facts {
  readonly client: readonly ClientRecord[];
  readonly sink: readonly SinkRecord[];
  readonly heard: readonly HeardFact[];
  readonly events: readonly EventFact[];
  readonly effects: readonly EffectFact[];
  readonly rooms: readonly RoomFact[];
  readonly entries: readonly EntryFact[];
  /** When the fault was over; undefined where there was none. */
  readonly healedAt: number | undefined;
}

const ms = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`;

/** What Postgres knows of the users whose ids begin so. Rooms are keyed `u:<userId>`, as these ids need no encoding. */
export async function readPostgres(
  pool: pg.Pool,
  prefix: string,
): Promise<Pick<Facts, 'events' | 'effects' | 'rooms' | 'entries'>> {
  const like = `${prefix}-%`;
  const rows = async <T extends pg.QueryResultRow>(text: string, parameter = like) =>
    (await pool.query<T>(text, [parameter])).rows;
  const events = await rows<EventFact>(`
    SELECT e.id, e.type, e."userId", e."requestId", e."causationId", e.source::text, j.state::text, j.fence, j.priority,
           ${ms('GREATEST(j."createdAt", j."runAt")')} AS "dueAt", ${ms('j."startedAt"')} AS "startedAt",
           ${ms('j."finishedAt"')} AS "finishedAt",
           EXISTS (SELECT FROM dead_letters d WHERE d."jobId" = j.id AND d.state = 'open') AS "isDeadLetter"
    FROM events e JOIN jobs j ON j.id = e.id WHERE e."userId" LIKE $1`);
  const effects = await rows<EffectFact>(
    `SELECT "eventId", step, lane, n FROM fault_effects WHERE "userId" LIKE $1 ORDER BY id`,
  );
  const rooms = await rows<RoomFact>(
    `SELECT substr(key, 3) AS "userId", epoch, "lastSeq"::int FROM rooms WHERE key LIKE $1`,
    `u:${like}`,
  );
  const entries = await rows<EntryFact>(
    `SELECT substr(r.room, 3) AS "userId", r.seq::int, n.id, n.type, n.data->>'eventId' AS "eventId"
     FROM room_entries r JOIN notifications n ON n.id = r."notificationId" WHERE r.room LIKE $1 ORDER BY r.room, r.seq`,
    `u:${like}`,
  );
  return { events, effects, rooms, entries };
}

/** What is not over yet: jobs without an end, and rows that await dispatch. */
export async function countOpen(pool: pg.Pool, prefix: string): Promise<number> {
  const { rows } = await pool.query<{ open: number }>(
    `SELECT ((SELECT count(*) FROM jobs WHERE "userId" LIKE $1 AND "finishedAt" IS NULL)
           + (SELECT count(*) FROM outbox WHERE "userId" LIKE $1))::int AS open`,
    [`${prefix}-%`],
  );
  return rows[0]?.open ?? 0;
}

export async function readHeads(pool: pg.Pool, prefix: string): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ userId: string; lastSeq: number }>(
    `SELECT substr(key, 3) AS "userId", "lastSeq"::int FROM rooms WHERE key LIKE $1`,
    [`u:${prefix}-%`],
  );
  return new Map(rows.map(({ userId, lastSeq }) => [userId, lastSeq]));
}
