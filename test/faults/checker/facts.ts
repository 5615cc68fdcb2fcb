import type pg from 'pg';
import type { ClientRecord } from '../client/main.ts';
import type { Heard } from '../listener/room-reader.ts';
import type { SinkRecord } from '../sink/main.ts';
import type { Span, TickFact } from './ticks.ts';

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

/** `user_<userId>` or `request_<ref>`: the refs of a run are unlike each other whoever's they are. */
export interface RoomFact {
  readonly room: string;
  readonly lastSeq: number;
}

export interface EntryFact {
  readonly room: string;
  readonly seq: number;
  readonly id: string;
  readonly requestId: string | null;
  readonly eventId: string;
}

export type HeardFact = Heard & { readonly room: string };

/** What there is to know when all is over, from four places that know nothing of each other. */
export interface Facts {
  readonly client: readonly ClientRecord[];
  readonly sink: readonly SinkRecord[];
  readonly heard: readonly HeardFact[];
  readonly events: readonly EventFact[];
  readonly effects: readonly EffectFact[];
  readonly rooms: readonly RoomFact[];
  readonly entries: readonly EntryFact[];
  /** The rooms of requests that somebody listened to; those of users all have a listener. */
  readonly followed: ReadonlySet<string>;
  readonly span: Span;
  readonly ticks: readonly TickFact[];
  /** When the fault was over; undefined where there was none. */
  readonly healedAt: number | undefined;
}

/** Rooms are keyed `u:<userId>` and `r:<userId>:<requestId>`, as these ids need no encoding. */
const nameOf = (key: string) =>
  `CASE WHEN ${key} LIKE 'u:%' THEN 'user_' || substr(${key}, 3) ELSE 'request_' || split_part(${key}, ':', 3) END`;
const isOurs = (key: string) => `(${key} LIKE 'u:' || $1 OR ${key} LIKE 'r:' || $1)`;

const ms = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`;

/** What Postgres knows of the users whose ids begin so. */
export async function readPostgres(
  pool: pg.Pool,
  prefix: string,
): Promise<Pick<Facts, 'events' | 'effects' | 'rooms' | 'entries'>> {
  const like = `${prefix}-%`;
  const rows = async <T extends pg.QueryResultRow>(text: string) => (await pool.query<T>(text, [like])).rows;
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
    `SELECT ${nameOf('key')} AS room, "lastSeq"::int FROM rooms WHERE ${isOurs('key')}`,
  );
  const entries = await rows<EntryFact>(
    `SELECT ${nameOf('r.room')} AS room, r.seq::int, n.id, n."requestId", n.data->>'eventId' AS "eventId"
     FROM room_entries r JOIN notifications n ON n.id = r."notificationId" WHERE ${isOurs('r.room')} ORDER BY r.room, r.seq`,
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

/** How far each room has come, by its name. */
export async function readHeads(pool: pg.Pool, prefix: string): Promise<Map<string, number>> {
  const { rows } = await pool.query<RoomFact>(
    `SELECT ${nameOf('key')} AS room, "lastSeq"::int FROM rooms WHERE ${isOurs('key')}`,
    [`${prefix}-%`],
  );
  return new Map(rows.map(({ room, lastSeq }) => [room, lastSeq]));
}
