import { sql } from 'kysely';
import type { Sql } from '../platform/database.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import { firstIdAt } from '../platform/ids.js';
import { parseRoomKey, roomKey, roomsOf } from '../realtime/rooms.js';
import { batchSize, type Pruned } from './sweep.js';

export interface Target {
  readonly userId: string;
  readonly requestId: string | null;
}

interface TargetRoom extends Target {
  readonly key: string;
}

interface TouchedRoom extends TargetRoom {
  /** How many notifications it may have lost. */
  readonly lost: number;
}

/** Numbers are given in the order of commits and ids in that of time: entries may stand so many places from where their ids say. */
const outOfOrder = 100;

/**
 * The oldest notifications, their room entries, and the rooms of requests that have none left. A user's room keeps its row, because
 * its numbers must go on. A reader who had less than what is left finds the beginning missing, or another epoch, and is told to
 * start anew (src/realtime/subscriptions.ts).
 */
export async function pruneNotifications(tx: Sql, before: Date): Promise<Pruned> {
  const { rows: targets } = await sql<Target>`
    WITH old AS MATERIALIZED (
      SELECT id FROM notifications WHERE id < ${firstIdAt(before.getTime())} ORDER BY id LIMIT ${batchSize} FOR UPDATE SKIP LOCKED
    )
    DELETE FROM notifications n USING old WHERE n.id = old.id RETURNING n."userId", n."requestId"`.execute(tx);
  reachFaultPoint('retention.deleted');
  const touched = roomsTouched(targets);
  const entries = await deleteEntries(tx, touched);
  const rooms = await deleteEmptyRooms(tx, requestsOf(touched));
  return {
    deleted: { notifications: targets.length, room_entries: entries, rooms },
    cursor: targets.length === batchSize ? '' : undefined,
  };
}

/**
 * The entries of notifications that were just deleted before their time. A request's room that has none left keeps its row for as long as
 * notifications are kept: who looked before it was made would otherwise take its absence for silence.
 */
export async function removeFromRooms(tx: Sql, targets: readonly Target[]): Promise<number> {
  const touched = roomsTouched(targets);
  const entries = await deleteEntries(tx, touched);
  const keys = await lockFree(tx, requestsOf(touched));
  await sql`
    UPDATE rooms r SET "emptiedAt" = now() WHERE key = ANY(${keys}::text[])
      AND NOT EXISTS (SELECT FROM room_entries e WHERE e.room = r.key)`.execute(tx);
  return entries;
}

/** The rows that `removeFromRooms` has left, after their time. One that is in use again, or still, has its time anew. */
export async function pruneEmptiedRooms(tx: Sql, before: Date): Promise<Pruned> {
  const { rows: due } = await sql<{ key: string }>`
    SELECT key FROM rooms WHERE "emptiedAt" < ${before} ORDER BY "emptiedAt" LIMIT ${batchSize} FOR UPDATE SKIP LOCKED`.execute(
    tx,
  );
  const touched = due.map(({ key }) => {
    const { userId, requestId = null } = parseRoomKey(key);
    return { key, userId, requestId };
  });
  const rooms = await deleteEmptyRooms(tx, touched);
  await sql`
    UPDATE rooms r SET "emptiedAt" = CASE WHEN NOT EXISTS (SELECT FROM room_entries e WHERE e.room = r.key) THEN now() END
    WHERE key = ANY(${due.map(({ key }) => key)}::text[])`.execute(tx);
  return { deleted: { rooms }, cursor: due.length === batchSize ? '' : undefined };
}

/** A notification that was for one room alone, a broadcast, counts in both of its target's: nothing is there to be found. */
function roomsTouched(targets: readonly Target[]): TouchedRoom[] {
  const rooms = new Map<string, TouchedRoom>();
  for (const { userId, requestId } of targets) {
    for (const room of roomsOf({ userId, ...(requestId !== null && { requestId }) })) {
      const key = roomKey(room);
      const lost = (rooms.get(key)?.lost ?? 0) + 1;
      rooms.set(key, { key, userId, requestId: room.requestId ?? null, lost });
    }
  }
  return [...rooms.values()];
}

const requestsOf = (touched: readonly TouchedRoom[]) => touched.filter(({ requestId }) => requestId !== null);

/** There is no index by notification: the entries to delete are among the first of their rooms. */
async function deleteEntries(tx: Sql, touched: readonly TouchedRoom[]): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    DELETE FROM room_entries e USING (
      SELECT x.room, x.seq FROM unnest(${touched.map(({ key }) => key)}::text[], ${touched.map(({ lost }) => lost)}::int[]) AS t(key, lost),
        LATERAL (
          SELECT room, seq, "notificationId" FROM room_entries WHERE room = t.key ORDER BY seq LIMIT t.lost + ${outOfOrder}
        ) x
      WHERE NOT EXISTS (SELECT FROM notifications n WHERE n.id = x."notificationId")
    ) gone
    WHERE e.room = gone.room AND e.seq = gone.seq`.execute(tx);
  return Number(numAffectedRows);
}

/**
 * Locks first and looks second, in two statements: one that raises a room's head at this moment is skipped, one that has just
 * committed is seen, and one that comes now waits for this transaction and makes the room anew, in another epoch. A single
 * statement would look at a snapshot from before its lock, and delete a room under its newest entry.
 */
async function deleteEmptyRooms(tx: Sql, touched: readonly TargetRoom[]): Promise<number> {
  const keys = new Set(await lockFree(tx, touched));
  const mine = touched.filter(({ key }) => keys.has(key));
  const { numAffectedRows = 0n } = await sql`
    DELETE FROM rooms r
    USING unnest(${mine.map(({ key }) => key)}::text[], ${mine.map(({ userId }) => userId)}::text[],
                 ${mine.map(({ requestId }) => requestId)}::text[]) AS t(key, "userId", "requestId")
    WHERE r.key = t.key AND NOT EXISTS (SELECT FROM room_entries e WHERE e.room = r.key)
      AND NOT EXISTS (
        SELECT FROM jobs j WHERE j."userId" = t."userId" AND j."requestId" = t."requestId" AND j."isRoot" AND j."finishedAt" IS NULL)`.execute(
    tx,
  );
  return Number(numAffectedRows);
}

/** Those of the rooms that nobody else holds. */
async function lockFree(tx: Sql, touched: readonly TargetRoom[]): Promise<string[]> {
  if (touched.length === 0) return [];
  const { rows } = await sql<{ key: string }>`
    SELECT key FROM rooms WHERE key = ANY(${touched.map(({ key }) => key)}::text[]) ORDER BY key FOR UPDATE SKIP LOCKED`.execute(
    tx,
  );
  return rows.map(({ key }) => key);
}
