import { CompiledQuery, sql } from 'kysely';
import { recordAct } from '../platform/audit.js';
import type { Database, Sql } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import {
  notificationColumns,
  notificationCtes,
  toCommittedEntries,
  toNotificationRow,
  type EnteredRow,
} from '../realtime/log/notification-log.js';
import type { CommittedEntry, Publisher } from '../realtime/publishing/publisher.js';
import type { RequestQueries, RequestView } from './requests.js';
import { transact } from './transaction.js';

/** An unfinished job whose row the transaction has locked. */
export interface CancellableJob {
  readonly id: string;
  readonly queue: string;
  readonly userId: string;
  readonly requestId: string;
  readonly aggregateId: string;
  readonly lane: string | null;
}

/** What must be told after the commit. */
export interface Cancelled {
  readonly entries: readonly CommittedEntry[];
  readonly lanes: readonly string[];
}

/**
 * Ends jobs, waiting or running. A running attempt finds its job no longer running wherever it would commit something: at
 * its steps, its progress and its end. Its worker hears of it with its next heartbeat.
 */
export async function endAsCancelled(tx: Sql, jobs: readonly CancellableJob[]): Promise<void> {
  const ids = jobs.map(({ id }) => id);
  await tx
    .updateTable('jobs')
    .set({ state: 'cancelled', finishedAt: sql<Date>`now()`, workerId: null })
    .where('id', 'in', ids)
    .execute();
  await tx.deleteFrom('outbox').where('jobId', 'in', ids).execute();
  await noteLaneEnds(tx, lanesOf(jobs));
}

/** So that the next in these lanes is released whatever happens to this process; tell `Lanes.ended` after the commit. */
export async function noteLaneEnds(tx: Sql, lanes: readonly string[]): Promise<void> {
  if (lanes.length === 0) return;
  await tx
    .insertInto('lane_ends')
    .values(lanes.map((lane) => ({ lane })))
    .execute();
}

/**
 * `note.creation.requested` → `note.creation.cancelled`: nothing went wrong, so it is no error. It locks rooms, which finishing
 * takes after its jobs: so it comes when no more jobs are to be locked.
 */
export async function tellCancelled(tx: Sql, jobs: readonly CancellableJob[]): Promise<Cancelled> {
  const rows = jobs.map(({ id, queue, userId, requestId, aggregateId }) =>
    toNotificationRow({
      type: queue.replace(/[^.]+$/, 'cancelled'),
      status: 'success',
      data: { eventId: id, eventType: queue, aggregateId, state: 'cancelled' },
      userId,
      requestId,
      eventId: id,
    }),
  );
  const text = `WITH source AS (SELECT n.* FROM json_to_recordset($1::json) AS n(ord bigint, ${notificationColumns})),
    ${notificationCtes('source')} SELECT * FROM entered`;
  const input = JSON.stringify(rows.map((row, ord) => ({ ...row, ord })));
  const entered = await tx.executeQuery<EnteredRow>(CompiledQuery.raw(text, [input]));
  return { entries: toCommittedEntries(rows, entered.rows), lanes: lanesOf(jobs) };
}

const lanesOf = (jobs: readonly CancellableJob[]): string[] => jobs.flatMap(({ lane }) => lane ?? []);

export interface RequestCancellationOptions {
  readonly database: Pick<Database, 'sql'>;
  readonly requests: RequestQueries;
  readonly publisher: Publisher;
  /** Called after the commit with the lanes in which a job has ended; must not throw. */
  readonly onLanesEnded: (lanes: readonly string[]) => void;
}

/** Ends all that is unfinished of a request, for its owner. */
export class RequestCancellation {
  readonly #options: RequestCancellationOptions;

  constructor(options: RequestCancellationOptions) {
    this.#options = options;
  }

  /**
   * Repeating it gives the same answer.
   * @returns the request as it then is, or undefined where the user has none of that id.
   * @throws SynapError job_state_conflict (all its jobs ended otherwise), unavailable
   */
  async cancel(userId: string, requestId: string): Promise<RequestView | undefined> {
    const { database, requests, publisher, onLanesEnded } = this.#options;
    const cancelled = await transact(database.sql, (tx) => cancelAll(tx, userId, requestId));
    if (cancelled !== undefined) {
      reachFaultPoint('cancel.committed');
      publisher.publish(cancelled.entries);
      onLanesEnded(cancelled.lanes);
    }
    return requests.find(userId, requestId);
  }
}

/** @returns undefined where nothing was left to cancel. */
async function cancelAll(tx: Sql, userId: string, requestId: string): Promise<Cancelled | undefined> {
  const ended: CancellableJob[] = [];
  // A job that finished while its lock was awaited may have caused others, which only a fresh snapshot sees.
  let jobs = await lockUnfinished(tx, userId, requestId);
  while (jobs !== undefined) {
    if (jobs.length > 0) await endAsCancelled(tx, jobs);
    ended.push(...jobs);
    jobs = await lockUnfinished(tx, userId, requestId);
  }
  if (ended.length === 0) {
    await refuseUnlessCancelled(tx, userId, requestId);
    return undefined;
  }
  const details = { jobs: ended.length };
  await recordAct(tx, { actor: `user:${userId}`, action: 'request.cancelled', target: requestId, details });
  return tellCancelled(tx, ended);
}

/** The jobs of a request: its roots, and what they caused within it. */
const jobsOf = (userId: string, requestId: string) => sql`
  WITH RECURSIVE caused AS (
    SELECT id FROM jobs WHERE "userId" = ${userId} AND "requestId" = ${requestId} AND "isRoot"
    UNION
    SELECT e.id FROM caused c JOIN events e ON e."causationId" = c.id
    WHERE e."userId" = ${userId} AND e."requestId" = ${requestId}
  )`;

/**
 * Locked in the order in which finishing locks.
 * @returns undefined where this snapshot has none; those that ended while their lock was awaited are left out.
 */
async function lockUnfinished(tx: Sql, userId: string, requestId: string): Promise<CancellableJob[] | undefined> {
  const { rows } = await sql<{ job: CancellableJob | null }>`${jobsOf(userId, requestId)},
    seen AS MATERIALIZED (
      SELECT c.id FROM caused c WHERE (SELECT j."finishedAt" IS NULL FROM jobs j WHERE j.id = c.id)
    ),
    locked AS MATERIALIZED (
      SELECT j.id, j.queue, j."userId", j."requestId", j.lane, e."aggregateId" FROM jobs j JOIN events e ON e.id = j.id
      WHERE j.id = ANY(ARRAY(SELECT id FROM seen)) AND j."finishedAt" IS NULL ORDER BY j.id FOR UPDATE OF j
    )
    SELECT to_json(l) AS job FROM seen s LEFT JOIN locked l ON l.id = s.id`.execute(tx);
  return rows.length === 0 ? undefined : rows.flatMap(({ job }) => job ?? []);
}

/** @throws SynapError job_state_conflict where the request has ended by itself. Where there is none, the answer says so. */
async function refuseUnlessCancelled(tx: Sql, userId: string, requestId: string): Promise<void> {
  const { rows } = await sql<{ known: boolean; cancelled: boolean }>`${jobsOf(userId, requestId)}
    SELECT count(*) > 0 AS known, coalesce(bool_or(j.state = 'cancelled'), false) AS cancelled
    FROM jobs j WHERE j.id = ANY(ARRAY(SELECT id FROM caused))`.execute(tx);
  if (rows[0]?.known !== true || rows[0].cancelled) return;
  throw new SynapError('job_state_conflict', `request ${requestId} has ended`, {
    publicMessage: 'All jobs of this request have ended; there is nothing left to cancel.',
  });
}
