import { sql, type Selectable } from 'kysely';
import { recordAct } from '../platform/audit.js';
import { isConnectionLoss, unavailable, type Database, type DB, type Sql } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Runnable } from '../queues/ticket.js';
import type { Publisher } from '../realtime/publishing/publisher.js';
import { endAsCancelled, noteLaneEnds, tellCancelled } from './cancellation.js';
import { closeDeadLetter, conflict, lockForReplay } from './dead-letter-acts.js';
import { takeTurn } from './lane-turn.js';
import { transact } from './transaction.js';

type State = Selectable<DB['jobs']>['state'];

/** Who acts, and on which dispatch of the job: without a generation, on whichever is the latest. */
export interface Acting {
  readonly actor: string;
  readonly generation?: number;
}

/** An act that is one of many of an operation: on open dead letters only, and committed together with its progress. */
export interface PartOf {
  readonly id: string;
  /** Runs in the act's own transaction, when the job is locked. What it throws undoes the act. */
  readonly advance: (tx: Sql) => Promise<void>;
}

export interface Replay extends Acting {
  /** `resume` keeps the results of its steps, `restart` drops them. */
  readonly mode: 'resume' | 'restart';
  /** Also more often than a few times. */
  readonly force?: boolean;
  readonly partOf?: PartOf;
}

export interface Discard extends Acting {
  readonly reason: string;
  readonly partOf?: PartOf;
}

export interface JobRecord {
  readonly state: State;
  readonly generation: number;
  readonly hasOpenDeadLetter: boolean;
}

export interface JobAdministrationOptions {
  readonly database: Pick<Database, 'sql'>;
  readonly publisher: Publisher;
  /** Called after the commit with the jobs it made runnable; must not throw. */
  readonly onRunnable: (runnable: readonly Runnable[]) => void;
  /** Called after the commit with the lanes in which a job has ended; must not throw. Without it LaneWatch finds them. */
  readonly onLanesEnded?: (lanes: readonly string[]) => void;
}

/**
 * What a person may do to a job. Each act is one transaction on Postgres, with its line in the audit log; queues are told
 * afterwards. An act that makes a job run again raises its generation, so whatever ticket of it is still in a queue is
 * obsolete, and the claim acknowledges it away.
 *
 *     scheduled, queued, running ──cancel──▶ cancelled     scheduled, queued ──run now──▶ queued (next generation)
 *     dead ──replay──▶ queued (next generation)            dead ──discard──▶ dead, its dead letter closed
 */
export class JobAdministration {
  readonly #sql: Sql;
  readonly #publisher: Publisher;
  readonly #onRunnable: JobAdministrationOptions['onRunnable'];
  readonly #onLanesEnded: (lanes: readonly string[]) => void;

  constructor({ database, publisher, onRunnable, onLanesEnded = () => undefined }: JobAdministrationOptions) {
    this.#sql = database.sql;
    this.#publisher = publisher;
    this.#onRunnable = onRunnable;
    this.#onLanesEnded = onLanesEnded;
  }

  async find(jobId: string): Promise<JobRecord | undefined> {
    const query = this.#sql
      .selectFrom('jobs')
      .leftJoin('dead_letters', 'dead_letters.jobId', 'jobs.id')
      .select(['jobs.state', 'jobs.generation', 'dead_letters.state as deadLetter'])
      .where('jobs.id', '=', jobId);
    const row = await reachable(query.executeTakeFirst());
    return row && { state: row.state, generation: row.generation, hasOpenDeadLetter: row.deadLetter === 'open' };
  }

  /**
   * Runs a dead job again, with its correction where it has one. Its failures start from zero, its attempts count on.
   * @returns its new generation
   * @throws SynapError not_found, job_expired, job_state_conflict, replay_limit_reached, unavailable
   */
  async replay(jobId: string, { mode, force = false, partOf, ...acting }: Replay): Promise<number> {
    const runnable = await this.#transaction(async (tx) => {
      const job = await lockJob(tx, jobId, acting, ['dead']);
      await lockForReplay(tx, jobId, { force, onlyOpen: partOf !== undefined });
      await partOf?.advance(tx);
      if (mode === 'restart') await tx.deleteFrom('steps').where('jobId', '=', jobId).execute();
      const next = await dispatchAgain(tx, job);
      const details = { mode, generation: next.generation, ...(partOf && { operation: partOf.id }) };
      await closeDeadLetter(tx, jobId, 'replayed', { actor: acting.actor, ...details });
      await recordAct(tx, { actor: acting.actor, action: 'job.replayed', target: jobId, details });
      return next;
    });
    reachFaultPoint('replay.committed');
    if (runnable.isReleased) this.#onRunnable([runnable]);
    return runnable.generation;
  }

  /**
   * Ends a job, also one that runs, and tells its user.
   * @throws SynapError not_found, job_state_conflict (it has ended), unavailable
   */
  async cancel(jobId: string, acting: Acting): Promise<void> {
    const { entries, lanes } = await this.#transaction(async (tx) => {
      const job = await lockJob(tx, jobId, acting, ['scheduled', 'queued', 'running']);
      await endAsCancelled(tx, [job]);
      await recordAct(tx, { actor: acting.actor, action: 'job.cancelled', target: jobId });
      return tellCancelled(tx, [job]);
    });
    reachFaultPoint('cancel.committed');
    this.#publisher.publish(entries);
    this.#onLanesEnded(lanes);
  }

  /**
   * Closes a dead letter without running its job again.
   * @throws SynapError not_found, job_expired, job_state_conflict (no dead letter is open), unavailable
   */
  async discard(jobId: string, { reason, partOf, ...acting }: Discard): Promise<void> {
    const lanes = await this.#transaction(async (tx) => {
      const { lane } = await lockJob(tx, jobId, acting, ['dead']);
      await partOf?.advance(tx);
      const details = { reason, ...(partOf && { operation: partOf.id }) };
      const closed = await closeDeadLetter(tx, jobId, 'discarded', { actor: acting.actor, ...details });
      if (!closed) throw conflict(`the dead letter of ${jobId} is not open`, 'This dead letter is closed already.');
      await recordAct(tx, { actor: acting.actor, action: 'job.discarded', target: jobId, details });
      // Those that it held in its lane go on.
      const held = lane === null ? [] : [lane];
      await noteLaneEnds(tx, held);
      return held;
    });
    this.#onLanesEnded(lanes);
  }

  /**
   * A job that waits, for its time or for a retry, waits no longer.
   * @throws SynapError not_found, job_state_conflict, unavailable
   */
  async runNow(jobId: string, acting: Acting): Promise<void> {
    const runnable = await this.#transaction(async (tx) => {
      const next = await dispatchAgain(tx, await lockJob(tx, jobId, acting, ['scheduled', 'queued']));
      await recordAct(tx, {
        actor: acting.actor,
        action: 'job.run_now',
        target: jobId,
        details: { generation: next.generation },
      });
      return next;
    });
    if (runnable.isReleased) this.#onRunnable([runnable]);
  }

  /** Recorded, so that it stays so whatever the queue store forgets; applying it to the queue is the caller's. */
  async setPaused(queue: string, isPaused: boolean, { actor }: { readonly actor: string }): Promise<void> {
    await this.#transaction(async (tx) => {
      const changed = { isPaused, updatedBy: actor, updatedAt: sql<Date>`now()` };
      await tx
        .insertInto('queue_settings')
        .values({ queue, ...changed })
        .onConflict((row) => row.column('queue').doUpdateSet(changed))
        .execute();
      await recordAct(tx, { actor, action: isPaused ? 'queue.paused' : 'queue.resumed', target: queue });
    });
  }

  #transaction<T>(run: (tx: Sql) => Promise<T>): Promise<T> {
    return transact(this.#sql, run);
  }
}

type LockedJob = Awaited<ReturnType<typeof readLocked>>;

function readLocked(tx: Sql, jobId: string) {
  return tx
    .selectFrom('jobs')
    .innerJoin('events', 'events.id', 'jobs.id')
    .select([
      'jobs.id',
      'jobs.queue',
      'jobs.userId',
      'jobs.requestId',
      'jobs.state',
      'jobs.generation',
      'jobs.priority',
      'jobs.lane',
      'jobs.isReleased',
    ])
    .select(['events.aggregateId', 'events.correlationId'])
    .where('jobs.id', '=', jobId)
    .forUpdate('jobs')
    .executeTakeFirst();
}

/** A closed dead letter outlives its job. */
async function missing(tx: Sql, jobId: string): Promise<SynapError> {
  const letter = await tx.selectFrom('dead_letters').select('state').where('jobId', '=', jobId).executeTakeFirst();
  if (letter === undefined) return new SynapError('not_found', `there is no job ${jobId}`);
  return new SynapError('job_expired', `job ${jobId} was deleted by retention`, {
    publicMessage: `Its dead letter was ${letter.state}, and retention has deleted the job since. Only the letter is left.`,
  });
}

/** The job, its row locked until the transaction ends: no claim and no other operator can come between. */
export async function lockJob(
  tx: Sql,
  jobId: string,
  acting: Acting,
  allowed: readonly State[],
): Promise<NonNullable<LockedJob>> {
  const job = await readLocked(tx, jobId);
  if (job === undefined) throw await missing(tx, jobId);
  if (acting.generation !== undefined && acting.generation !== job.generation) {
    throw conflict(`job ${jobId} is at generation ${job.generation}`, 'This job has been dispatched again since.');
  }
  if (!allowed.includes(job.state)) {
    throw conflict(
      `job ${jobId} is ${job.state}`,
      `The job is ${job.state}; this needs one that is ${allowed.join(' or ')}.`,
    );
  }
  return job;
}

/**
 * `runAt` is cut to the column's milliseconds: rounded up, the job would be early for an eager claim. A job whose turn in its
 * lane has not come gets no outbox row.
 */
async function dispatchAgain(
  tx: Sql,
  job: NonNullable<LockedJob>,
): Promise<Runnable & { readonly isReleased: boolean }> {
  const { id, queue, userId, requestId, correlationId, priority } = job;
  const generation = job.generation + 1;
  const runAt = sql<Date>`date_trunc('milliseconds', now())`;
  const isReleased = job.state === 'dead' ? await takeTurn(tx, job) : job.isReleased;
  const fresh =
    job.state === 'dead' ? { failures: 0, finishedAt: null, lastError: null, result: null, progress: null } : {};
  await tx
    .updateTable('jobs')
    .set({ state: 'queued', generation, runAt, crashes: 0, workerId: null, ...fresh })
    .where('id', '=', id)
    .execute();
  // The fast path of this process has the row for as long as it has those of accepted events; then the dispatcher takes it.
  const row = { generation, runAt, priority, claimedUntil: sql<Date>`now() + interval '500 milliseconds'` };
  if (isReleased) {
    await tx
      .insertInto('outbox')
      .values({ jobId: id, queue, userId, ...row })
      .onConflict((old) => old.column('jobId').doUpdateSet(row))
      .execute();
  }
  return {
    isReleased,
    queue,
    jobId: id,
    generation,
    priority,
    runAt: 0,
    data: { eventId: id, type: queue, userId, requestId, correlationId },
  };
}

/** Postgres away is `unavailable`, as everywhere; whether a lost COMMIT happened shows in the job's state. */
export async function reachable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (thrown) {
    throw isConnectionLoss(thrown) ? unavailable(thrown) : thrown;
  }
}
