import { sql } from 'kysely';
import type { Sql } from '../platform/database.js';
import { removeFromRooms, type Target } from './prune-notifications.js';
import { batchSize, type Pruned } from './sweep.js';

/** Rooms that one batch looks at: a look is a row of `rooms`, and one more only where a room has had more than its share. */
const roomsAtOnce = 1_000;

interface Excess {
  /** The last room that was looked at, null where there is none behind the cursor. */
  readonly last: string | null;
  readonly rooms: readonly string[];
  readonly seqs: readonly string[];
  readonly ids: readonly string[];
}

/**
 * What a room has beyond its newest `keep`: the notifications go, from all of their rooms, with their entries. Rooms are looked at in
 * the order of their keys; no index tells the full ones, because every notification would write it. A request's room that loses all keeps its row (`removeFromRooms`). Who reads a room from before what is left is told to start anew.
 */
export async function pruneRooms(tx: Sql, keep: number, cursor = ''): Promise<Pruned> {
  const { last, rooms, seqs, ids } = await findExcess(tx, keep, cursor);
  if (last === null) return { deleted: {}, cursor: undefined };
  if (ids.length === 0) return { deleted: {}, cursor: last };
  const targets = await deleteNotifications(tx, ids);
  const own = await deleteGone(tx, rooms, seqs);
  const entries = await removeFromRooms(tx, targets);
  // A whole batch may have left more behind; one of which all was held by others is left for the next round.
  const goesOn = ids.length === batchSize && targets.length + own > 0 ? cursor : last;
  return { deleted: { notifications: targets.length, room_entries: own + entries }, cursor: goesOn };
}

async function findExcess(tx: Sql, keep: number, cursor: string): Promise<Excess> {
  const { rows } = await sql<Excess>`
    WITH page AS MATERIALIZED (
      SELECT key, "lastSeq" FROM rooms WHERE key > ${cursor} ORDER BY key LIMIT ${roomsAtOnce}
    ),
    excess AS MATERIALIZED (
      SELECT e.* FROM page p CROSS JOIN LATERAL (
        SELECT room, seq, "notificationId" FROM room_entries
        WHERE room = p.key AND seq <= p."lastSeq" - ${keep} ORDER BY seq LIMIT ${batchSize}
      ) e
      WHERE p."lastSeq" > ${keep} LIMIT ${batchSize}
    )
    SELECT (SELECT max(key) FROM page) AS last,
           coalesce(array_agg(room), '{}') AS rooms, coalesce(array_agg(seq::text), '{}') AS seqs,
           coalesce(array_agg("notificationId"), '{}') AS ids
    FROM excess`.execute(tx);
  return rows[0] ?? { last: null, rooms: [], seqs: [], ids: [] };
}

async function deleteNotifications(tx: Sql, ids: readonly string[]): Promise<Target[]> {
  const { rows } = await sql<Target>`
    WITH old AS MATERIALIZED (
      SELECT id FROM notifications WHERE id = ANY(${ids}::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED
    )
    DELETE FROM notifications n USING old WHERE n.id = old.id RETURNING n."userId", n."requestId"`.execute(tx);
  return rows;
}

/** Of these entries, those whose notification is gone, now or before. */
async function deleteGone(tx: Sql, rooms: readonly string[], seqs: readonly string[]): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    DELETE FROM room_entries e USING unnest(${rooms}::text[], ${seqs}::bigint[]) AS t(room, seq)
    WHERE e.room = t.room AND e.seq = t.seq
      AND NOT EXISTS (SELECT FROM notifications n WHERE n.id = e."notificationId")`.execute(tx);
  return Number(numAffectedRows);
}
