import { sql, type RawBuilder } from 'kysely';
import type { Config } from '../platform/config.js';
import type { Sql } from '../platform/database.js';
import { pruneEvents } from './prune-events.js';
import { pruneJobs } from './prune-jobs.js';
import { pruneEmptiedRooms, pruneNotifications } from './prune-notifications.js';
import { pruneRooms } from './prune-rooms.js';
import { batchSize, stretchOf, type Pruned } from './sweep.js';

/** Deletes what a table has past its age. */
export interface Pruner {
  readonly table: string;
  /** One batch, in a transaction that is its own. `now` is the database's time. */
  prune(tx: Sql, now: Date, cursor: string | undefined): Promise<Pruned>;
}

const dayMs = 86_400_000;
const workersMs = dayMs;
const bulkOperationsMs = 90 * dayMs;

export function prunersOf(ages: Config['retention']): Pruner[] {
  const { idempotencyKeysMs, jobsMs, notificationsMs, notificationsPerRoom, eventsMs } = ages;
  return [
    simple(
      'idempotency_keys',
      idempotencyKeysMs,
      (before) => sql`
      DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM idempotency_keys WHERE "createdAt" < ${before}
        ORDER BY "createdAt" LIMIT ${batchSize} FOR UPDATE SKIP LOCKED))`,
    ),
    { table: 'notifications', prune: (tx, now) => pruneNotifications(tx, olderThan(now, notificationsMs)) },
    // Under the lock of the same table: the two never meet over an entry.
    { table: 'notifications', prune: (tx, _now, cursor) => pruneRooms(tx, notificationsPerRoom, cursor) },
    { table: 'rooms', prune: (tx, now) => pruneEmptiedRooms(tx, olderThan(now, notificationsMs)) },
    { table: 'jobs', prune: (tx, now, cursor) => pruneJobs(tx, stretchOf(now, jobsMs, cursor)) },
    // An event outlives the keys that answer with it.
    ...(eventsMs === undefined
      ? []
      : [
          {
            table: 'events',
            prune: (tx: Sql, now: Date, cursor: string | undefined) =>
              pruneEvents(tx, stretchOf(now, Math.max(eventsMs, idempotencyKeysMs), cursor)),
          },
        ]),
    // A worker that was only frozen inserts its row again.
    simple(
      'workers',
      workersMs,
      (before) => sql`
      DELETE FROM workers WHERE id IN (
        SELECT id FROM workers WHERE "heartbeatAt" < ${before} LIMIT ${batchSize} FOR UPDATE SKIP LOCKED)`,
    ),
    simple(
      'bulk_operations',
      bulkOperationsMs,
      (before) => sql`
      DELETE FROM bulk_operations WHERE id IN (
        SELECT id FROM bulk_operations WHERE state <> 'running' AND "finishedAt" < ${before}
        LIMIT ${batchSize} FOR UPDATE SKIP LOCKED)`,
    ),
  ];
}

function simple(table: string, ageMs: number, remove: (before: Date) => RawBuilder<unknown>): Pruner {
  return {
    table,
    async prune(tx, now) {
      const { numAffectedRows = 0n } = await remove(olderThan(now, ageMs)).execute(tx);
      const count = Number(numAffectedRows);
      return { deleted: { [table]: count }, cursor: count === batchSize ? '' : undefined };
    },
  };
}

const olderThan = (now: Date, ageMs: number): Date => new Date(now.getTime() - ageMs);
