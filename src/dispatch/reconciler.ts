import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Leadership } from '../platform/leader.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';
import { ticketId } from '../queues/ticket.js';
import { firstPage, UnfinishedJobs, type TicketHolder } from './unfinished-jobs.js';

export interface ReconcilerOptions {
  readonly pool: pg.Pool;
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly leader?: Leadership;
  /** How long a job must have been due before it is looked for; younger ones are on their way. */
  readonly overdueMs?: number;
}

/** A page each time: 4,000 unfinished jobs a second, so that a backlog of millions costs no more than a small one. */
const pageEveryMs = 500;
const sweepEveryMs = 15_000;
const orphansEveryMs = 300_000;
/** Right after a store forgot everything: also what is due later. */
const everything = -1_000 * 86_400_000;

/**
 * Finds the single ticket that a queue has lost (a job deleted by hand, a list entry gone) and dispatches its job anew. A slow, bounded
 * sweep; that a whole store has forgotten is seen at once by the generation watch.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #jobs: UnfinishedJobs;
  readonly #sweeping: Periodic;
  readonly #tidying: Periodic;
  #cursor = firstPage;
  #overdueMs: number;
  #nextSweepAt = 0;
  #tidied = 0;
  /** Counts the sweeps of everything that were asked for: what a page that began before one says is out of date. */
  #asked = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#jobs = new UnfinishedJobs(options.pool);
    this.#overdueMs = options.overdueMs ?? sweepEveryMs;
    const { clock, logger, leader } = options;
    const shared = { clock, logger, ...(leader !== undefined && { leader }) };
    this.#sweeping = new Periodic({ name: 'reconciler', everyMs: pageEveryMs, run: () => this.#sweep(), ...shared });
    this.#tidying = new Periodic({ name: 'orphans', everyMs: orphansEveryMs, run: () => this.#tidy(), ...shared });
  }

  start(): void {
    this.#sweeping.start();
    this.#tidying.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#sweeping.stop(), this.#tidying.stop()]);
  }

  /** The next sweep begins now and looks for everything, as after a store forgot what was on its way to it. */
  sweepAll(): void {
    this.#asked++;
    this.#cursor = firstPage;
    this.#overdueMs = everything;
    this.#nextSweepAt = 0;
  }

  /** One page. @returns whether the next one follows. */
  async runOnce(): Promise<boolean> {
    const { queues, logger, metrics } = this.#options;
    const asked = this.#asked;
    const { jobs, next } = await this.#jobs.page(this.#cursor, queues, this.#overdueMs);
    const lost = await this.#missing(jobs);
    if (lost.length > 0) {
      reachFaultPoint('reconciler.found');
      const again = await this.#jobs.dispatchAgain(lost);
      reachFaultPoint('reconciler.dispatched');
      metrics.outboxDispatched.inc({ path: 'reconciler' }, again);
      logger.warn({ jobs: again }, 'jobs were missing in their queues and are dispatched again');
    }
    if (this.#asked === asked) this.#cursor = next ?? firstPage;
    return next !== undefined;
  }

  /** While the store is away the page is read again. */
  async #sweep(): Promise<void> {
    const { clock, logger, overdueMs = sweepEveryMs } = this.#options;
    if (clock.now() < this.#nextSweepAt) return;
    const asked = this.#asked;
    try {
      if (await this.runOnce()) return;
    } catch (thrown) {
      logger.debug({ err: toError(thrown) }, 'what the queues have is not known');
      return;
    }
    // Unless all was asked for meanwhile.
    if (this.#asked !== asked) return;
    this.#overdueMs = overdueMs;
    this.#nextSweepAt = clock.now() + sweepEveryMs;
  }

  async #missing(jobs: readonly TicketHolder[]): Promise<TicketHolder[]> {
    const pages = [...Map.groupBy(jobs, ({ queue }) => queue)].map(async ([queue, rows]) => {
      const ids = rows.map(({ id, generation }) => ticketId(id, generation));
      const missing = await this.#options.backend.missing(queue, ids);
      return rows.filter(({ id, generation }) => missing.has(ticketId(id, generation)));
    });
    return (await Promise.all(pages)).flat();
  }

  /** One queue at a time: it reads all keys there are. */
  async #tidy(): Promise<void> {
    const { backend, queues, logger } = this.#options;
    const queue = queues[this.#tidied++ % queues.length];
    if (queue === undefined) return;
    const removed = await backend.removeOrphans(queue);
    if (removed > 0) logger.warn({ queue, removed }, 'what was left of lost tickets is deleted');
  }
}
