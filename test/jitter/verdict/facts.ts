import type pg from 'pg';
import type { Cut } from '../cuts.ts';
import type { Plan } from '../plan.ts';
import type { Heard } from '../readers/record.ts';

export interface Entry {
  readonly seq: number;
  readonly id: string;
  /** Milliseconds since the epoch, with fractions. */
  readonly committedAt: number;
}

export interface RoomLog {
  readonly epoch: string;
  readonly lastSeq: number;
  readonly entries: readonly Entry[];
}

/** What there is to know when all is over, from places that know nothing of each other. */
export interface Facts {
  readonly plan: Plan;
  /** By inside key, as Postgres has them. */
  readonly rooms: ReadonlyMap<string, RoomLog>;
  readonly heard: readonly Heard[];
  readonly cuts: readonly Cut[];
  /** When the traffic was over; what came later is not measured. */
  readonly calmAt: number;
}

/** Of the users whose ids begin so; these ids need no encoding. */
export async function readLogs(pool: pg.Pool, prefix: string): Promise<Map<string, RoomLog>> {
  const like = [`u:${prefix}-%`, `r:${prefix}-%`];
  const rooms = await pool.query<{ key: string; epoch: string; lastSeq: number }>(
    `SELECT key, epoch, "lastSeq"::int FROM rooms WHERE key LIKE ANY ($1)`,
    [like],
  );
  const entries = await pool.query<Entry & { room: string }>(
    `SELECT room, seq::int, "notificationId" AS id,
            (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::float8 AS "committedAt"
     FROM room_entries WHERE room LIKE ANY ($1) ORDER BY room, seq`,
    [like],
  );
  const entriesOf = Map.groupBy(entries.rows, ({ room }) => room);
  return new Map(
    rooms.rows.map(({ key, epoch, lastSeq }) => [key, { epoch, lastSeq, entries: entriesOf.get(key) ?? [] }]),
  );
}

export async function readHeads(pool: pg.Pool, prefix: string): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ key: string; lastSeq: number }>(
    `SELECT key, "lastSeq"::int FROM rooms WHERE key LIKE ANY ($1)`,
    [[`u:${prefix}-%`, `r:${prefix}-%`]],
  );
  return new Map(rows.map(({ key, lastSeq }) => [key, lastSeq]));
}
