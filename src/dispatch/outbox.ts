import type pg from 'pg';
import { runStatement, type Statement } from '../platform/database.js';
import { longestQueueDelayMs } from '../events/store.js';
import type { Runnable, Ticket } from '../queues/ticket.js';

/**
 * Rows whose lease is over, at most `$2` of each queue, leased anew by one committed statement: never a transaction held
 * open across Redis, never a cursor (sequence order is not commit order, and a row behind it would be lost).
 */
const lease: Statement = {
  name: 'outbox-lease',
  text: `
  WITH due AS (
    SELECT o."jobId" FROM unnest($1::text[]) AS q(queue), LATERAL (
      SELECT "jobId" FROM outbox WHERE outbox.queue = q.queue AND "claimedUntil" <= now()
      ORDER BY "claimedUntil" LIMIT $2 FOR UPDATE SKIP LOCKED
    ) o
  ),
  leased AS (
    UPDATE outbox SET "claimedUntil" = now() + $3 * interval '1 millisecond' FROM due WHERE outbox."jobId" = due."jobId"
    RETURNING outbox.*
  )
  SELECT l.queue, l."jobId", l.generation, l.priority, l."runAt", l."userId", e."requestId", e."correlationId"
  FROM leased l JOIN events e ON e.id = l."jobId"`,
};

/** By generation: a row that was replaced since (a replay) stays. */
const remove: Statement = {
  name: 'outbox-remove',
  text: `
  DELETE FROM outbox USING unnest($1::uuid[], $2::int[]) AS d(id, generation)
  WHERE outbox."jobId" = d.id AND outbox.generation = d.generation`,
};

interface LeasedRow {
  readonly queue: string;
  readonly jobId: string;
  readonly generation: number;
  readonly priority: number;
  readonly runAt: Date;
  readonly userId: string;
  readonly requestId: string;
  readonly correlationId: string;
}

/** The rows that await dispatch. */
export class Outbox {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async lease(queues: readonly string[], limitPerQueue: number, leaseMs: number): Promise<Runnable[]> {
    const rows = await runStatement<LeasedRow>(this.#pool, lease, [queues, limitPerQueue, leaseMs]);
    return rows.map(({ queue, jobId, generation, priority, runAt, userId, requestId, correlationId }) => ({
      queue,
      jobId,
      generation,
      priority,
      runAt: runAt.getTime(),
      data: { eventId: jobId, type: queue, userId, requestId, correlationId },
    }));
  }

  async remove(dispatched: readonly Ticket[]): Promise<void> {
    const sorted = dispatched.toSorted((a, b) => (a.jobId < b.jobId ? -1 : 1));
    await runStatement(this.#pool, remove, [
      sorted.map(({ jobId }) => jobId),
      sorted.map(({ generation }) => generation),
    ]);
  }
}

/** Whether a job's time is near enough for a queue to carry the rest of the wait. */
export const isWithinQueueDelay = (runAt: number, now: number): boolean => runAt - now <= longestQueueDelayMs;
