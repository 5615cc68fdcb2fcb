import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { runStatement, type Statement } from '../platform/database.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';
import { ticketId } from '../queues/ticket.js';
import { isHeldByLiveWorker } from './liveness.js';

export interface ReconcilerOptions {
  readonly pool: pg.Pool;
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How long a job must have been due before it is looked for; younger ones are on their way. */
  readonly overdueMs?: number;
}

const everyMs = 15_000;
const pageSize = 500;
const firstId = '00000000-0000-0000-0000-000000000000';

/** Jobs that should be in a queue: due, not finished, not in the outbox, not held by a live worker. */
const findOverdue: Statement = {
  name: 'reconciler-overdue',
  text: `
  SELECT j.id, j.queue, j.generation FROM jobs j
  WHERE j."finishedAt" IS NULL AND j."isReleased" AND j.id > $1 AND j.queue = ANY($2) AND j."runAt" < now() - $3 * interval '1 millisecond'
    AND NOT (j.state = 'running' AND ${isHeldByLiveWorker('j')})
    AND NOT EXISTS (SELECT FROM outbox o WHERE o."jobId" = j.id)
  ORDER BY j.id LIMIT ${pageSize}`,
};

/** With a new generation: should the lost ticket turn up after all, its claim finds it obsolete. */
const dispatchAgain: Statement = {
  name: 'reconciler-dispatch-again',
  text: `
  WITH again AS (
    UPDATE jobs j SET generation = j.generation + 1
    FROM (
      SELECT l.id FROM jobs l JOIN unnest($1::uuid[], $2::int[]) AS lost(id, generation)
        ON l.id = lost.id AND l.generation = lost.generation
      WHERE l."finishedAt" IS NULL AND NOT (l.state = 'running' AND ${isHeldByLiveWorker('l')})
      ORDER BY l.id FOR UPDATE OF l SKIP LOCKED
    ) lost
    WHERE j.id = lost.id
    RETURNING j.id, j.queue, j."userId", j.priority, j.generation, j."runAt"
  )
  INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
  SELECT id, queue, "userId", priority, generation, "runAt", now() FROM again
  ON CONFLICT DO NOTHING RETURNING "jobId"`,
};

interface OverdueRow {
  readonly id: string;
  readonly queue: string;
  readonly generation: number;
}

/** Finds what should be queued and is not (a Redis that was flushed, or failed over to an older copy) and dispatches it anew. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #periodic: Periodic;
  #cursor = firstId;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#periodic = new Periodic({ name: 'reconciler', everyMs, run: () => this.runOnce(), clock, logger });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** One page of overdue jobs. @returns whether the next page follows. */
  async runOnce(): Promise<boolean> {
    const { pool, queues, overdueMs = 15_000, logger, metrics } = this.#options;
    const overdue = await runStatement<OverdueRow>(pool, findOverdue, [this.#cursor, queues, overdueMs]);
    const lost = await this.#missing(overdue);
    if (lost.length > 0) {
      reachFaultPoint('reconciler.found');
      const ids = lost.map(({ id }) => id);
      const again = await runStatement(pool, dispatchAgain, [ids, lost.map(({ generation }) => generation)]);
      reachFaultPoint('reconciler.dispatched');
      metrics.outboxDispatched.inc({ path: 'reconciler' }, again.length);
      logger.warn({ jobs: again.length }, 'jobs were missing in their queues and are dispatched again');
    }
    const isFull = overdue.length === pageSize;
    this.#cursor = isFull ? (overdue.at(-1)?.id ?? firstId) : firstId;
    return isFull;
  }

  async #missing(overdue: readonly OverdueRow[]): Promise<OverdueRow[]> {
    const pages = [...Map.groupBy(overdue, ({ queue }) => queue)].map(async ([queue, rows]) => {
      const missing = await this.#options.backend.missing(
        queue,
        rows.map(({ id, generation }) => ticketId(id, generation)),
      );
      return rows.filter(({ id, generation }) => missing.has(ticketId(id, generation)));
    });
    return (await Promise.all(pages)).flat();
  }
}
