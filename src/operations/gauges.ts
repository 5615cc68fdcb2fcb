import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';

const everyMs = 5_000;
/** Counting a backlog of millions takes seconds: it rests for so many times as long, and costs 2 % at most. */
const restAfterCount = 50;
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

/** What waits, in the queues and in Postgres; the dispatcher role has it. */
export function queueGauge({ backend, queues, database, metrics, clock, logger }: QueueGaugeOptions): Periodic {
  const count = async () => {
    const { rows } = await database.pool.query<{ queue: string; n: number }>(
      'SELECT queue, count(*)::int AS n FROM outbox GROUP BY queue',
    );
    return new Map(rows.map(({ queue, n }) => [queue, n]));
  };
  let inPostgres = new Map<string, number>();
  let nextCountAt = 0;
  const run = async (): Promise<void> => {
    const now = clock.now();
    if (now >= nextCountAt) {
      inPostgres = await count();
      nextCountAt = now + (clock.now() - now) * restAfterCount;
    }
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
