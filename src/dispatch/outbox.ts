import type pg from 'pg';
import { runStatement, withoutFlush, type Statement } from '../platform/database.js';
import { fewRows } from '../platform/few-rows.js';
import { longestQueueDelayMs } from '../events/statements.js';
import { agedPriority, priorities } from '../queues/priorities.js';
import type { Runnable, Ticket } from '../queues/ticket.js';

/**
 * Leases the rows that `due` selects to the caller for `ms`, and reads what their tickets need. By an array of ids, because
 * Postgres cannot know how few they are and would read the whole table to join them.
 */
const leaseDue = (due: string, ms: string): string => `
  WITH leased AS (
    UPDATE outbox SET "claimedUntil" = now() + ${ms} * interval '1 millisecond'
    WHERE "jobId" = ANY(ARRAY(${due})) RETURNING outbox.*
  )
  SELECT l.queue, l."jobId", l.generation, l.priority, l."runAt", l."userId", e."requestId", e."correlationId",
         (EXTRACT(epoch FROM now() - l."runAt") * 1000)::float8 AS "waitedMs"
  FROM leased l JOIN events e ON e.id = l."jobId"`;

/**
 * How many rows of each queue are due, counted up to `$2`. The limit comes as a column: where Postgres knew the number and had no
 * statistics yet, it would rather sort a million rows than walk the index that has them in order.
 */
const due: Statement = {
  name: 'outbox-due',
  text: `
  SELECT q.queue, d.rows FROM unnest($1::text[]) AS q(queue), unnest(ARRAY[$2::int]) AS l(rows), LATERAL (
    SELECT count(*)::int AS rows FROM (
      SELECT FROM outbox WHERE outbox.queue = q.queue AND "claimedUntil" <= now() ORDER BY "claimedUntil" LIMIT l.rows
    ) o
  ) d WHERE d.rows > 0`,
};

/**
 * Rows whose lease is over, oldest first, at most so many of each queue, leased anew by one committed statement: never a
 * transaction held open across Redis, never a cursor (sequence order is not commit order, and a row behind it would be lost).
 */
const lease: Statement = {
  name: 'outbox-lease',
  text: leaseDue(
    `SELECT o."jobId" FROM unnest($1::text[], $2::int[]) AS q(queue, rows), LATERAL (
      SELECT "jobId" FROM outbox WHERE outbox.queue = q.queue AND "claimedUntil" <= now()
      ORDER BY "claimedUntil" LIMIT q.rows FOR UPDATE SKIP LOCKED
    ) o`,
    '$3',
  ),
};

/** The rows that a fair release looks at: what was handed back at its time, or never had to wait (outbox_fair_idx). */
const fairlyDue = `"runAt" <= "claimedUntil" AND "claimedUntil" <= now()`;

/** Those of the queues in which something of high priority is due. */
const highDue: Statement = {
  name: 'outbox-high-due',
  text: `
  SELECT q.queue FROM unnest($1::text[]) AS q(queue) WHERE (
    SELECT true FROM outbox WHERE outbox.queue = q.queue AND priority = ${priorities.high} AND ${fairlyDue}
    ORDER BY outbox.queue, priority, "userId", "claimedUntil" LIMIT 1)`,
};

/** The next users after `$3` who have a row due: one look into the index for each, however many rows they have. */
const findUsers: Statement = {
  name: 'outbox-users',
  text: `
  WITH RECURSIVE users AS (
    (SELECT "userId" FROM outbox WHERE queue = $1 AND priority = $2 AND "userId" > $3 AND ${fairlyDue}
     ORDER BY queue, priority, "userId", "claimedUntil" LIMIT 1)
    UNION ALL
    SELECT o."userId" FROM users u, LATERAL (
      SELECT "userId" FROM outbox WHERE queue = $1 AND priority = $2 AND "userId" > u."userId" AND ${fairlyDue}
      ORDER BY queue, priority, "userId", "claimedUntil" LIMIT 1
    ) o
  )
  SELECT "userId" FROM users LIMIT $4`,
};

/** The oldest `$4` due rows of each of these users. */
const leaseOfUsers: Statement = {
  name: 'outbox-lease-of-users',
  text: leaseDue(
    `SELECT o."jobId" FROM unnest($3::text[]) AS u("userId"), LATERAL (
      SELECT "jobId" FROM outbox WHERE queue = $1 AND priority = $2 AND outbox."userId" = u."userId" AND ${fairlyDue}
      ORDER BY queue, priority, "userId", "claimedUntil" LIMIT $4 FOR UPDATE SKIP LOCKED
    ) o`,
    '$5',
  ),
};

/** Delays that would be handed to the queue ahead of their time wait here until then (outbox_delayed_idx). */
const keepDelays: Statement = {
  name: 'outbox-keep-delays',
  text: `
  UPDATE outbox SET "claimedUntil" = "runAt" WHERE "jobId" = ANY(ARRAY(
    SELECT "jobId" FROM outbox WHERE queue = $1 AND "runAt" > "claimedUntil" AND "claimedUntil" <= now()
    ORDER BY queue, "claimedUntil" LIMIT $2 FOR UPDATE SKIP LOCKED
  ))`,
};

/** By generation: a row that was replaced since (a replay) stays. One that a crash brings back is dispatched once more. */
const remove: Statement = {
  name: 'outbox-remove',
  text: `
  DELETE FROM outbox USING unnest($1::uuid[], $2::int[]) AS d(id, generation), ${withoutFlush}
  WHERE outbox."jobId" = d.id AND outbox.generation = d.generation AND ${fewRows('d.generation')}`,
};

const release: Statement = {
  name: 'outbox-release',
  text: `
  UPDATE outbox SET "claimedUntil" = now() FROM unnest($1::uuid[], $2::int[]) AS d(id, generation)
  WHERE outbox."jobId" = d.id AND outbox.generation = d.generation AND ${fewRows('d.generation')}`,
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
  readonly waitedMs: number;
}

/** Longer than an addBulk mostly takes, and short, so that a dispatcher's death delays nobody for long: adding twice is harmless. */
const leaseMs = 1_500;

/** The rows that await dispatch. */
export class Outbox {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Queues that have rows due, and how many, counted up to `atMost`. */
  async due(queues: readonly string[], atMost: number): Promise<Map<string, number>> {
    const rows = await runStatement<{ queue: string; rows: number }>(this.#pool, due, [queues, atMost]);
    return new Map(rows.map(({ queue, rows: n }) => [queue, n]));
  }

  /** Those of the queues that have rows of high priority due. */
  async highDue(queues: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await runStatement<{ queue: string }>(this.#pool, highDue, [queues]);
    return new Set(rows.map(({ queue }) => queue));
  }

  /** The oldest due rows, at most so many of each queue. */
  async lease(limits: ReadonlyMap<string, number>): Promise<Runnable[]> {
    return this.#lease(lease, [[...limits.keys()], [...limits.values()], leaseMs]);
  }

  /** Users behind `after` in their order who have a row of this priority due. */
  async users(queue: string, priority: number, after: string, limit: number): Promise<string[]> {
    const rows = await runStatement<{ userId: string }>(this.#pool, findUsers, [queue, priority, after, limit]);
    return rows.map(({ userId }) => userId);
  }

  async leaseOf(queue: string, priority: number, users: readonly string[], rowsEach: number): Promise<Runnable[]> {
    return this.#lease(leaseOfUsers, [queue, priority, users, rowsEach, leaseMs]);
  }

  /** In the order in which they became due: a queue keeps it within a priority. */
  async #lease(statement: Statement, values: unknown[]): Promise<Runnable[]> {
    const rows = await runStatement<LeasedRow>(this.#pool, statement, values);
    return rows.map(toRunnable).toSorted((a, b) => a.runAt - b.runAt);
  }

  /** From now on these rows are due at their time, and not shortly before. */
  async keepDelays(queue: string, limit: number): Promise<void> {
    await runStatement(this.#pool, keepDelays, [queue, limit]);
  }

  async remove(dispatched: readonly Ticket[]): Promise<void> {
    await runStatement(this.#pool, remove, keysOf(dispatched));
  }

  /** Gives leased rows back at once. */
  async release(leased: readonly Ticket[]): Promise<void> {
    await runStatement(this.#pool, release, keysOf(leased));
  }
}

/** Sorted: two statements over the same rows must not deadlock. */
function keysOf(tickets: readonly Ticket[]): [string[], number[]] {
  const sorted = tickets.toSorted((a, b) => (a.jobId < b.jobId ? -1 : 1));
  return [sorted.map(({ jobId }) => jobId), sorted.map(({ generation }) => generation)];
}

/** With the number of its age: what waited long is released as more urgent. */
function toRunnable(row: LeasedRow): Runnable {
  const { queue, jobId, generation, priority, runAt, userId, requestId, correlationId, waitedMs } = row;
  return {
    queue,
    jobId,
    generation,
    priority: agedPriority(priority, waitedMs),
    runAt: runAt.getTime(),
    data: { eventId: jobId, type: queue, userId, requestId, correlationId },
  };
}

/** Whether a job's time is near enough for a queue to carry the rest of the wait. */
export const isWithinQueueDelay = (runAt: number, now: number): boolean => runAt - now <= longestQueueDelayMs;
