import { hostname } from 'node:os';
import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { newId } from '../platform/ids.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';

const heartbeatEveryMs = 2_000;

/** This worker process as the others see it: a row whose heartbeat keeps its running jobs its own. */
export class WorkerRegistry {
  readonly id = newId();
  readonly #pool: pg.Pool;
  readonly #heartbeat: Periodic;

  constructor({ pool, clock, logger }: { readonly pool: pg.Pool; readonly clock: Clock; readonly logger: Logger }) {
    this.#pool = pool;
    this.#heartbeat = new Periodic({
      name: 'heartbeat',
      everyMs: heartbeatEveryMs,
      run: () => this.#beat(),
      clock,
      logger,
    });
  }

  /** Registered before the first claim, or the first claim would look abandoned. */
  async start(): Promise<void> {
    await this.#beat();
    this.#heartbeat.start();
  }

  /** Whatever this worker still holds is claimable by others at once. */
  async stop(): Promise<void> {
    await this.#heartbeat.stop();
    await this.#pool.query('DELETE FROM workers WHERE id = $1', [this.id]);
  }

  /** Inserts again where somebody removed the row (a restored database, a pruned worker that was only frozen). */
  async #beat(): Promise<void> {
    await this.#pool.query({
      name: 'worker-heartbeat',
      text: `INSERT INTO workers (id, hostname, pid) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET "heartbeatAt" = now()`,
      values: [this.id, hostname(), process.pid],
    });
  }
}
