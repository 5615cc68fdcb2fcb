import type { Clock } from '../platform/clock.js';
import type { Sql } from '../platform/database.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';

export interface PauseKeeperOptions {
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly sql: Sql;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly everyMs?: number;
}

/**
 * What an operator paused stays paused: a flushed or replaced Redis has forgotten it, Postgres has not. Queues that nobody
 * ever paused are left alone. Several of these do no harm.
 */
export class PauseKeeper {
  readonly #options: PauseKeeperOptions;
  readonly #periodic: Periodic;

  constructor(options: PauseKeeperOptions) {
    this.#options = options;
    const { clock, logger, everyMs = 5_000 } = options;
    this.#periodic = new Periodic({ name: 'pause-keeper', everyMs, run: () => this.runOnce(), clock, logger });
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
      .select(['queue', 'isPaused'])
      .where('queue', 'in', queues)
      .execute();
    await Promise.all(settings.map(({ queue, isPaused }) => setPaused(backend.queue(queue), isPaused)));
  }
}

async function setPaused(queue: ReturnType<QueueBackend['queue']>, isPaused: boolean): Promise<void> {
  if ((await queue.isPaused()) === isPaused) return;
  await (isPaused ? queue.pause() : queue.resume());
}
