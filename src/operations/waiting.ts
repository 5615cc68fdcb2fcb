import type pg from 'pg';
import { countedUpTo, readWaitingCounts, type WaitingCounts } from '../execution/waiting-counts.js';
import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';

const freshForMs = 2_000;

/**
 * What of each queue waits in Postgres and so does not show in BullMQ's counts. Read when somebody looks, at most every two
 * seconds; a board that nobody watches costs nothing.
 */
export class Waiting {
  readonly #options: {
    readonly pool: pg.Pool;
    readonly queues: readonly string[];
    readonly clock: Clock;
    readonly logger: Logger;
  };
  #rows = new Map<string, WaitingCounts>();
  #isKnown = false;
  #freshUntil = 0;
  #reading: Promise<void> | undefined;

  constructor(options: {
    readonly pool: pg.Pool;
    readonly queues: readonly string[];
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#options = options;
  }

  /** Never throws: where Postgres is away, the descriptions say so. */
  async refresh(): Promise<void> {
    if (this.#options.clock.now() < this.#freshUntil) return;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  describe(queue: string): string {
    if (!this.#isKnown) return 'What waits in Postgres is not known: it is out of reach.';
    const { due = 0, scheduled = 0, dead = 0 } = this.#rows.get(queue) ?? {};
    return `In Postgres, not in this queue: ${count(due)} due, ${count(scheduled)} scheduled. Open dead letters: ${count(dead)}.`;
  }

  /** @param shown how many of the dead letters the board lists */
  describeDeadLetters(shown: number): string {
    if (!this.#isKnown) return 'The dead letters are in Postgres, which is out of reach.';
    const open = [...this.#rows.values()].reduce((sum, { dead }) => sum + dead, 0);
    if (open <= shown) return 'All open dead letters of all queues, read from Postgres.';
    return `The newest ${count(shown)} of all queues' open dead letters; ${count(open)} are open.`;
  }

  async #read(): Promise<void> {
    const { pool, queues, clock, logger } = this.#options;
    try {
      const rows = await readWaitingCounts(pool, queues);
      this.#rows = new Map(rows.map((row) => [row.queue, row]));
      this.#isKnown = true;
    } catch (thrown) {
      logger.debug({ err: toError(thrown) }, 'what waits in Postgres could not be counted');
      this.#isKnown = false;
    }
    this.#freshUntil = clock.now() + freshForMs;
  }
}

const count = (n: number): string =>
  n > countedUpTo ? `more than ${countedUpTo.toLocaleString('en')}` : n.toLocaleString('en');
