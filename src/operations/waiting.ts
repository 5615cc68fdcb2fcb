import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';

interface Row {
  readonly queue: string;
  readonly due: number;
  readonly scheduled: number;
  readonly dead: number;
}

/** Counting stops here: an operator needs to know "many", and a backlog of a million rows must not be read for it. */
const countedUpTo = 10_000;
const freshForMs = 2_000;

const statement = {
  name: 'board-waiting',
  text: `
  WITH dead AS (
    SELECT queue, count(*)::int AS n FROM (SELECT queue FROM dead_letters WHERE state = 'open' LIMIT ${countedUpTo + 1}) d GROUP BY queue
  )
  SELECT q.queue, o.due, o.scheduled, COALESCE(dead.n, 0) AS dead
  FROM unnest($1::text[]) AS q(queue)
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE "runAt" <= now())::int AS due, count(*) FILTER (WHERE "runAt" > now())::int AS scheduled
    FROM (SELECT "runAt" FROM outbox WHERE outbox.queue = q.queue LIMIT ${countedUpTo + 1}) w
  ) o
  LEFT JOIN dead ON dead.queue = q.queue`,
};

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
  #rows = new Map<string, Row>();
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
      const { rows } = await pool.query<Row>({ ...statement, values: [queues] });
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
