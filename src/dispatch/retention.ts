import { sql } from 'kysely';
import type { Clock } from '../platform/clock.js';
import type { Config } from '../platform/config.js';
import type { Sql } from '../platform/database.js';
import { toError } from '../platform/errors.js';
import type { Leadership } from '../platform/leader.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import { prunersOf, type Pruner } from './pruners.js';
import type { Pruned } from './sweep.js';

export interface RetentionOptions {
  readonly sql: Sql;
  readonly ages: Config['retention'];
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leader?: Leadership;
  /** Between two batches. */
  readonly pauseMs?: number;
}

const everyMs = 60_000;
// "prune" as a number; any fixed one would do.
const lockKey = 0x7072756e;

/**
 * Deletes what is past its age, by the database's clock. A round takes one batch of each table: at most 500 rows in a transaction of
 * its own, which waits for no lock; what somebody holds is taken another time. While there is more, a round follows after a pause,
 * else after a minute. A batch took 40 ms on two busy cores, so 10 million jobs take about 50 minutes, and twice that with a step
 * each. An advisory lock per table keeps the processes of a fleet out of each other's way.
 */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #periodic: Periodic;
  readonly #pruners: readonly Pruner[];
  /** Where the sweep of a table goes on; a new process begins again. */
  readonly #cursors = new Map<Pruner, string>();
  /** When a table that was done is looked at again, so that a long sweep of another does not have it swept again and again. */
  readonly #restsUntil = new Map<Pruner, number>();
  #deleted = new Map<string, number>();

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#pruners = prunersOf(options.ages);
    const { clock, logger, leader } = options;
    const run = () => this.runOnce();
    this.#periodic = new Periodic({ name: 'retention', everyMs, run, clock, logger, ...(leader && { leader }) });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** A batch of each table. @returns milliseconds until the next round; undefined where all is done for now. */
  async runOnce(): Promise<number | undefined> {
    const now = this.#options.clock.now();
    const awake = this.#pruners.filter((pruner) => (this.#restsUntil.get(pruner) ?? 0) <= now);
    for (const pruner of awake) await this.#prune(pruner);
    if (this.#cursors.size > 0) return this.#options.pauseMs ?? 100;
    if (this.#deleted.size > 0) {
      this.#options.logger.info({ deleted: Object.fromEntries(this.#deleted) }, 'deleted what was past its age');
      this.#deleted = new Map();
    }
    return undefined;
  }

  /** What fails is tried again in the next minute; the other tables do not wait for it. */
  async #prune(pruner: Pruner): Promise<void> {
    try {
      const pruned = await this.#inTransaction(pruner);
      this.#account(pruned);
      if (pruned?.cursor === undefined) this.#rest(pruner);
      else this.#cursors.set(pruner, pruned.cursor);
    } catch (thrown) {
      this.#rest(pruner);
      this.#options.logger.warn({ err: toError(thrown), table: pruner.table }, 'retention left a table for later');
    }
  }

  #rest(pruner: Pruner): void {
    this.#cursors.delete(pruner);
    // A little less than a round's rest, or every other round would come too early for it.
    this.#restsUntil.set(pruner, this.#options.clock.now() + everyMs / 2);
  }

  /** Undefined where another process is at this table. */
  #inTransaction(pruner: Pruner): Promise<Pruned | undefined> {
    return this.#options.sql.transaction().execute(async (tx) => {
      const { rows } = await sql<{ now: Date; isMine: boolean }>`
        SELECT now(), set_config('lock_timeout', '250ms', true), set_config('statement_timeout', '5s', true),
               pg_try_advisory_xact_lock(${lockKey}::int, hashtext(${pruner.table})) AS "isMine"`.execute(tx);
      const [row] = rows;
      return row?.isMine === true ? pruner.prune(tx, row.now, this.#cursors.get(pruner)) : undefined;
    });
  }

  #account(pruned: Pruned | undefined): void {
    for (const [table, count] of Object.entries(pruned?.deleted ?? {})) {
      if (count === 0) continue;
      this.#options.metrics.retentionDeleted.inc({ table }, count);
      this.#deleted.set(table, (this.#deleted.get(table) ?? 0) + count);
    }
  }
}
