import type { Clock } from '../platform/clock.js';
import { runStatement, type Database, type Statement } from '../platform/database.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';

const everyMs = 5_000;
/** A backlog is counted up to this; a larger one is as large as Postgres' statistics say, and costs no more than a small one. */
const countedUpTo = 10_000;
const states = ['waiting', 'prioritized', 'active', 'delayed', 'failed', 'completed'] as const;

/** The connections of the hot pool; every process has it. */
export function poolGauge({ pool }: Pick<Database, 'pool'>, metrics: Metrics, clock: Clock, logger: Logger): Periodic {
  const run = (): Promise<void> => {
    metrics.dbPoolSize.set({ state: 'idle' }, pool.idleCount);
    metrics.dbPoolSize.set({ state: 'active' }, pool.totalCount - pool.idleCount);
    metrics.dbPoolSize.set({ state: 'waiting' }, pool.waitingCount);
    return Promise.resolve();
  };
  return new Periodic({ name: 'pool gauge', everyMs, run, clock, logger });
}

export interface QueueGaugeOptions {
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly database: Pick<Database, 'pool'>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

const count: Statement = {
  name: 'outbox-count',
  text: `
  SELECT q.queue, (SELECT count(*)::int FROM (
    SELECT FROM outbox WHERE outbox.queue = q.queue ORDER BY "claimedUntil" LIMIT l.rows) o) AS n
  FROM unnest($1::text[]) AS q(queue) CROSS JOIN unnest(ARRAY[${countedUpTo + 1}]) AS l(rows)`,
};

/** How many rows the planner expects; of autovacuum's last look, scaled to the size that the table has now. */
const estimate = 'EXPLAIN (FORMAT JSON) SELECT FROM outbox WHERE queue = $1';

interface Explained {
  readonly 'QUERY PLAN': readonly { readonly Plan: { readonly 'Plan Rows': number } }[];
}

async function waitingInPostgres(pool: Database['pool'], queues: readonly string[]): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const { queue, n } of await runStatement<{ queue: string; n: number }>(pool, count, [queues])) {
    const { rows } = n > countedUpTo ? await pool.query<Explained>(estimate, [queue]) : { rows: [] };
    sizes.set(queue, Math.max(n, rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0));
  }
  return sizes;
}

/** What waits, in the queues and in Postgres; the dispatcher role has it. */
export function queueGauge({ backend, queues, database, metrics, clock, logger }: QueueGaugeOptions): Periodic {
  const run = async (): Promise<void> => {
    const inPostgres = await waitingInPostgres(database.pool, queues);
    for (const queue of queues) {
      const counts = await backend.queue(queue).getJobCounts(...states);
      for (const state of states) metrics.jobsWaiting.set({ queue, state }, counts[state] ?? 0);
      metrics.jobsWaiting.set({ queue, state: 'outbox' }, inPostgres.get(queue) ?? 0);
      const waiting = (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0) + (counts['delayed'] ?? 0);
      metrics.eventsInQueue.set({ type: queue }, waiting + (inPostgres.get(queue) ?? 0));
    }
  };
  return new Periodic({ name: 'queue gauge', everyMs, run, clock, logger });
}
