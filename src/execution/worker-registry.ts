import { hostname } from 'node:os';
import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { runStatement, type Statement } from '../platform/database.js';
import { fewRows } from '../platform/few-rows.js';
import { newId } from '../platform/ids.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';
import { workerTimeoutMs } from '../dispatch/liveness.js';
import { AttemptAborted } from './outcome.js';
import { RunningAttempts } from './running-attempts.js';

const heartbeatEveryMs = 1_000;

/**
 * Says that this worker lives, and answers which of the attempts it runs are not its own any more: another has claimed the
 * job, it was cancelled, or it ended. The row is inserted again where somebody removed it (a restored database, a pruned
 * worker that was only frozen).
 */
const heartbeat: Statement = {
  name: 'worker-heartbeat',
  text: `
  WITH beat AS (
    INSERT INTO workers (id, hostname, pid) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET "heartbeatAt" = now()
  )
  SELECT i."jobId", i.fence, j.state FROM unnest($4::uuid[], $5::int[]) AS i("jobId", fence)
  LEFT JOIN jobs j ON j.id = i."jobId"
  WHERE ${fewRows('i.fence')} AND (j.id IS NULL OR j.fence <> i.fence OR j.state <> 'running')`,
};

interface LostRow {
  readonly jobId: string;
  readonly fence: number;
  readonly state: string | null;
}

export interface WorkerRegistryOptions {
  /** Must not be the pool that handlers use: twenty long transactions would make a busy worker look dead. */
  readonly pool: pg.Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of a worker that was named by another process; a new one without it. */
  readonly id?: string;
}

/**
 * This worker process as the others see it: a row whose heartbeat keeps its running jobs its own. And the other way round:
 * what this worker is told it has lost, or must assume it has, is aborted.
 */
export class WorkerRegistry {
  readonly id: string;
  readonly attempts = new RunningAttempts();
  readonly #pool: pg.Pool;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #heartbeat: Periodic;
  #cancelExpiry: () => void = () => undefined;
  #isStopped = false;

  constructor({ pool, clock, logger, id = newId() }: WorkerRegistryOptions) {
    this.id = id;
    this.#pool = pool;
    this.#clock = clock;
    this.#logger = logger;
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
    this.#isStopped = true;
    await this.#heartbeat.stop();
    this.#cancelExpiry();
    await this.#pool.query('DELETE FROM workers WHERE id = $1', [this.id]);
  }

  async #beat(): Promise<void> {
    const sentAt = this.#clock.now();
    const running = this.attempts.all;
    const lost = await runStatement<LostRow>(this.#pool, heartbeat, [
      this.id,
      hostname(),
      process.pid,
      running.map(({ jobId }) => jobId),
      running.map(({ fence }) => fence),
    ]);
    this.#expireAfter(sentAt + workerTimeoutMs - this.#clock.now());
    for (const { jobId, fence, state } of lost) this.attempts.abort(jobId, fence, toReason(jobId, state));
  }

  /** No heartbeat for so long, and others may take what this worker runs: it lets go before two of them work on it. */
  #expireAfter(delayMs: number): void {
    this.#cancelExpiry();
    if (this.#isStopped) return;
    this.#cancelExpiry = this.#clock.after(delayMs, () => {
      const running = this.attempts.all.length;
      this.#logger.error({ running }, 'no heartbeat reached the database for too long; what runs is aborted');
      this.attempts.abortAll(
        new AttemptAborted('lock_lost', `no heartbeat reached the database for ${workerTimeoutMs} ms`),
      );
    });
  }
}

function toReason(jobId: string, state: string | null): AttemptAborted {
  return state === 'cancelled'
    ? new AttemptAborted('cancelled', `job ${jobId} was cancelled`)
    : new AttemptAborted('fence_lost', `another attempt has taken over job ${jobId}`);
}
