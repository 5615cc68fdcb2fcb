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
}

const everyMs = 1_000;
/** Jobs a round; a worker that held more is buried in the next. */
const perRound = 1_000;

/**
 * The worker's row goes with the last of its jobs, so whoever dies in between leaves the rest to the next round. A worker that was only
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
    SELECT j.id FROM jobs j WHERE j."finishedAt" IS NULL AND j.state = 'running' AND j."workerId" IN (SELECT id FROM dead)
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
    DELETE FROM workers w USING dead d WHERE w.id = d.id AND (SELECT count(*) FROM orphaned) < ${perRound}
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

  /** @returns whether there may be more of them. */
  async runOnce(): Promise<boolean> {
    const { pool, logger, metrics } = this.#options;
    const [round] = await runStatement<Round & pg.QueryResultRow>(pool, takeBack, []);
    if (round === undefined || round.dead === 0) return false;
    reachFaultPoint('dead-workers.dispatched');
    metrics.outboxDispatched.inc({ path: 'reconciler' }, round.jobs);
    logger.warn({ workers: round.workers, jobs: round.jobs }, 'workers died; what they ran is dispatched again');
    return round.workers === 0;
  }
}
