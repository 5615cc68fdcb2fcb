import type { Clock } from '../platform/clock.js';
import type { Sql } from '../platform/database.js';
import type { Leadership } from '../platform/leader.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';

export interface SettingsKeeperOptions {
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly sql: Sql;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leader?: Leadership;
  readonly everyMs?: number;
}

/** How a queue is to run; null where there is no limit. */
interface Settings {
  readonly queue: string;
  readonly isPaused: boolean;
  /** Jobs of the queue at a time, over all workers. */
  readonly concurrency: number | null;
  /** Jobs that begin in a window of time, over all workers. */
  readonly rateMax: number | null;
  readonly rateWindowMs: number | null;
}

/**
 * What an operator set for a queue stays so: a flushed or replaced Redis has forgotten it, Postgres has not. Queues for which
 * nobody ever set anything are left alone. Several of these do no harm.
 */
export class SettingsKeeper {
  readonly #options: SettingsKeeperOptions;
  readonly #periodic: Periodic;

  constructor(options: SettingsKeeperOptions) {
    this.#options = options;
    const { clock, logger, leader, everyMs = 2_000 } = options;
    this.#periodic = new Periodic({
      name: 'queue settings',
      everyMs,
      failure: 'queue settings could not be applied',
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

  async runOnce(): Promise<void> {
    const { backend, queues, sql } = this.#options;
    const settings = await sql
      .selectFrom('queue_settings')
      .select(['queue', 'isPaused', 'concurrency', 'rateMax', 'rateWindowMs'])
      .where('queue', 'in', queues)
      .execute();
    await Promise.all(settings.map((row) => apply(backend.queue(row.queue), row)));
  }
}

type BullQueue = ReturnType<QueueBackend['queue']>;

/** Only what differs is written: each change wakes workers and tells Bull Board. */
async function apply(queue: BullQueue, wanted: Settings): Promise<void> {
  const now = await queue.getMeta();
  if (now.paused !== wanted.isPaused) await (wanted.isPaused ? queue.pause() : queue.resume());
  if ((now.concurrency ?? null) !== wanted.concurrency) await setConcurrency(queue, wanted.concurrency);
  const { rateMax, rateWindowMs } = wanted;
  const isLimited = rateMax !== null && rateWindowMs !== null;
  if (
    (now.max ?? null) === (isLimited ? rateMax : null) &&
    (now.duration ?? null) === (isLimited ? rateWindowMs : null)
  )
    return;
  await (isLimited ? queue.setGlobalRateLimit(rateMax, rateWindowMs) : queue.removeGlobalRateLimit());
}

async function setConcurrency(queue: BullQueue, concurrency: number | null): Promise<void> {
  await (concurrency === null ? queue.removeGlobalConcurrency() : queue.setGlobalConcurrency(concurrency));
}
