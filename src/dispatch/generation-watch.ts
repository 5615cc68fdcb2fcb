import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { runStatement, type Statement } from '../platform/database.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Leadership } from '../platform/leader.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';
import { firstPage, UnfinishedJobs } from './unfinished-jobs.js';

export interface GenerationWatchOptions {
  readonly pool: pg.Pool;
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly leader?: Leadership;
  /** Called before anything is dispatched again: a queue that was paused must not run. */
  readonly onLost?: () => Promise<void>;
  /** Called when the new generation stands: what was on its way while the old one ended may be in neither. */
  readonly onRestored?: () => void;
  readonly everyMs?: number;
}

const whateverTheirTime = -1_000 * 86_400_000;

const readRecorded: Statement = {
  name: 'generations-read',
  text: `SELECT queue, generation FROM queue_generations WHERE queue = ANY($1)`,
};

const record: Statement = {
  name: 'generations-record',
  text: `
  INSERT INTO queue_generations (queue, generation) SELECT * FROM unnest($1::text[], $2::text[]) AS g(queue, generation) ORDER BY queue
  ON CONFLICT (queue) DO UPDATE SET generation = excluded.generation, "seenAt" = now()`,
};

/**
 * Sees within a second that a queue's store lives another life than the one Postgres remembers: flushed, restarted, failed
 * over, loaded from an old copy. Then every unfinished job that no live worker holds is dispatched anew, whatever the store
 * still has: the old tickets are obsolete by their generation. The new life is begun first and recorded last, so that
 * dying in between, or yet another life, means doing it again, which is harmless.
 */
export class GenerationWatch {
  readonly #options: GenerationWatchOptions;
  readonly #jobs: UnfinishedJobs;
  readonly #periodic: Periodic;

  constructor(options: GenerationWatchOptions) {
    this.#options = options;
    this.#jobs = new UnfinishedJobs(options.pool);
    const { clock, logger, leader, everyMs = 500 } = options;
    this.#periodic = new Periodic({
      name: 'generation watch',
      everyMs,
      failure: 'the life of the queue store is not known',
      run: () => this.runOnce(),
      ...{ clock, logger, leader },
    });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** @returns whether a life ended while another was being restored, so that it is to be done again. */
  async runOnce(): Promise<boolean> {
    const { backend, queues, onRestored, logger } = this.#options;
    const present = await backend.generations(queues);
    const recorded = await this.#recorded();
    const changed = queues.filter((queue) => present.get(queue) !== recorded.get(queue));
    if (changed.length === 0) return false;
    const begun = new Map(
      await Promise.all(changed.map(async (queue) => [queue, await backend.beginGeneration(queue)] as const)),
    );
    // Nothing is known of a queue that is seen for the first time, so nothing is known to be lost.
    const lost = changed.filter((queue) => recorded.has(queue));
    if (lost.length > 0) {
      await this.#options.onLost?.();
      const jobs = await this.#dispatchAll(lost);
      logger.warn(
        { queues: lost.length, jobs },
        'the queue store has forgotten or is another; jobs are dispatched again',
      );
    }
    const now = await backend.generations(changed);
    const lasting = changed.filter((queue) => now.get(queue) === begun.get(queue));
    await runStatement(this.#options.pool, record, [lasting, lasting.map((queue) => begun.get(queue))]);
    if (lost.length > 0) onRestored?.();
    return lasting.length < changed.length;
  }

  async #recorded(): Promise<Map<string, string>> {
    const { pool, queues } = this.#options;
    const rows = await runStatement<{ queue: string; generation: string }>(pool, readRecorded, [queues]);
    return new Map(rows.map(({ queue, generation }) => [queue, generation]));
  }

  /** Page by page, each committed by itself. */
  async #dispatchAll(queues: readonly string[]): Promise<number> {
    let total = 0;
    for (let after: string | undefined = firstPage; after !== undefined;) {
      const { jobs, next } = await this.#jobs.page(after, queues, whateverTheirTime);
      if (jobs.length > 0) {
        total += await this.#jobs.dispatchAgain(jobs);
        reachFaultPoint('generation.dispatched');
      }
      after = next;
    }
    this.#options.metrics.outboxDispatched.inc({ path: 'generation' }, total);
    return total;
  }
}
