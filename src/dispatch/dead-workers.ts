import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { runStatement, type Statement } from '../platform/database.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import { workerTimeoutMs } from './liveness.js';

export interface DeadWorkersOptions {
  readonly pool: pg.Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How long the database must have answered before the silence of a worker is its own. */
  readonly graceMs?: number;
}

const everyMs = 1_000;
/** Between two answers of the database; a longer gap means that heartbeats may have had nowhere to go either. */
const longestGapMs = 3_000;
/** Jobs a round; a worker that held more is buried in the next. */
const perRound = 1_000;

/**
 * The jobs of the dead. `count(*)` first, as a condition that is asked once: the planner would otherwise look through all unfinished jobs for
 * running ones before it finds that nobody is dead, each second a million where a million wait.
 */
const ofTheDead = `(SELECT count(*) FROM dead) > 0 AND j."finishedAt" IS NULL AND j.state = 'running' AND j."workerId" IN (SELECT id FROM dead)`;

/**
 * The worker's row goes with the last of its jobs, so what is locked now, or more than one round takes, is left to the next. A worker that was only
 * frozen registers again with its next heartbeat; what it still runs has another generation then, and either it or the new
 * owner ends it: the fence decides. An outbox row of the dispatch that brought the lost attempt is replaced.
 */
const takeBack: Statement = {
  name: 'dead-workers-take-back',
  text: `
  WITH dead AS (
    SELECT id FROM workers WHERE "heartbeatAt" <= now() - interval '${workerTimeoutMs} milliseconds'
    ORDER BY id FOR UPDATE SKIP LOCKED
  ),
  orphaned AS (
    SELECT j.id FROM jobs j WHERE ${ofTheDead}
    ORDER BY j.id LIMIT ${perRound} FOR UPDATE OF j SKIP LOCKED
  ),
  again AS (
    UPDATE jobs j SET generation = j.generation + 1 FROM orphaned o WHERE j.id = o.id
    RETURNING j.id, j.queue, j."userId", j.priority, j.generation, j."runAt"
  ),
  dispatched AS (
    INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
    SELECT id, queue, "userId", priority, generation, "runAt", now() FROM again
    ON CONFLICT ("jobId") DO UPDATE SET generation = excluded.generation, "runAt" = excluded."runAt", "claimedUntil" = excluded."claimedUntil"
  ),
  buried AS (
    DELETE FROM workers w USING dead d WHERE w.id = d.id AND NOT EXISTS (
      SELECT FROM jobs j WHERE j."finishedAt" IS NULL AND j.state = 'running' AND j."workerId" = d.id
        AND j.id NOT IN (SELECT id FROM orphaned))
    RETURNING w.id
  )
  SELECT (SELECT count(*) FROM again)::int AS jobs, (SELECT count(*) FROM buried)::int AS workers,
         (SELECT count(*) FROM dead)::int AS dead`,
};

interface Round {
  readonly jobs: number;
  readonly workers: number;
  readonly dead: number;
}

/**
 * Dispatches anew what a dead worker ran, as soon as its heartbeat is too old: the queue's own lock on the ticket would
 * hold it for longer. Cheap while all live: the jobs are looked for only where a worker has died. Any number of these share the work.
 */
export class DeadWorkers {
  readonly #options: DeadWorkersOptions;
  readonly #periodic: Periodic;
  #answeredAt = -Infinity;
  #answersSince = 0;

  constructor(options: DeadWorkersOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#periodic = new Periodic({ name: 'dead workers', everyMs, run: () => this.runOnce(), clock, logger });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** @returns whether there is more to take back. */
  async runOnce(): Promise<boolean> {
    const { pool, logger, metrics } = this.#options;
    if (!(await this.#hasAnsweredLong())) return false;
    const [round] = await runStatement<Round & pg.QueryResultRow>(pool, takeBack, []);
    if (round === undefined || round.dead === 0) return false;
    reachFaultPoint('dead-workers.dispatched');
    metrics.outboxDispatched.inc({ path: 'reconciler' }, round.jobs);
    logger.warn({ workers: round.workers, jobs: round.jobs }, 'workers died; what they ran is dispatched again');
    return round.jobs === perRound;
  }

  /** After an outage of the database every worker looks dead until its next heartbeat. */
  async #hasAnsweredLong(): Promise<boolean> {
    const { pool, clock, graceMs = workerTimeoutMs } = this.#options;
    await pool.query('SELECT 1');
    const now = clock.now();
    if (now - this.#answeredAt > longestGapMs) this.#answersSince = now;
    this.#answeredAt = now;
    return now - this.#answersSince >= graceMs;
  }
}
