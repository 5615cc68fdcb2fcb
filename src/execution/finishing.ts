import type pg from 'pg';
import { Batcher } from '../platform/batcher.js';
import { runStatement, type Statement } from '../platform/database.js';
import { fewRows } from '../platform/few-rows.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import { roughSize } from '../platform/rough-size.js';
import type { Json } from '../platform/text.js';
import { jobCtes, longestQueueDelayMs } from '../events/statements.js';
import { toRunnable } from '../events/store.js';
import type { EventDraft } from '../events/synap-event.js';
import type { Runnable } from '../queues/ticket.js';
import {
  notificationColumns,
  notificationCtes,
  toCommittedEntries,
  type EnteredRow,
  type NotificationRow,
} from '../realtime/log/notification-log.js';
import type { Publisher } from '../realtime/publishing/publisher.js';
import type { Failure } from './outcome.js';

export interface EmittedEvent extends EventDraft {
  readonly priority: number;
  readonly handled: boolean;
  /** `laneOf` of the catalogue. */
  readonly lane: string | null;
}

/** All that one attempt changes, committed together or not at all. */
export interface Finish {
  readonly jobId: string;
  readonly fence: number;
  readonly state: 'completed' | 'dead' | 'cancelled' | 'queued';
  /** With `queued`: how long until the next attempt. */
  readonly delayMs: number;
  /** Whether this attempt counts as a failure. */
  readonly failed: boolean;
  readonly failure: Failure | null;
  readonly result: Json;
  readonly emitted: readonly EmittedEvent[];
  readonly notifications: readonly NotificationRow[];
}

/** What was committed, or null where another attempt has the job and nothing was. */
export type Finished = { readonly runAt: number; readonly requeued: boolean } | null;

/**
 * The finishing transaction of a batch of attempts in one statement. `held` locks exactly the rows whose fence still
 * stands; all else joins it, so an attempt that lost its job changes nothing. A wait longer than a queue carries goes back
 * to the outbox as a new generation, because an id that a queue still keeps is never run again; the row of the dispatch that
 * brought this attempt may still be there (dispatch deletes it afterwards) and is replaced. An end in a lane is noted with it,
 * so that the next is released whatever happens to this process. Emitted events stand in lanes only in the second form: most
 * batches have none and need not ask.
 */
const finishJobs = `
  WITH input AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS i("jobId" uuid, fence int, state job_state, "delayMs" bigint, failed boolean, failure jsonb, result jsonb)
  ),
  held AS (
    SELECT j.id, j."workerId" FROM jobs j JOIN input i ON i."jobId" = j.id AND i.fence = j.fence WHERE j.state = 'running' AND ${fewRows('i.fence')}
    ORDER BY j.id FOR UPDATE OF j
  ),
  finished AS (
    UPDATE jobs j SET
      state = CASE WHEN i.state = 'queued' AND i."delayMs" > 0 THEN 'scheduled' ELSE i.state END,
      generation = j.generation + CASE WHEN i.state = 'queued' AND i."delayMs" > ${longestQueueDelayMs} THEN 1 ELSE 0 END,
      failures = j.failures + i.failed::int,
      crashes = 0,
      "workerId" = NULL,
      "runAt" = CASE WHEN i.state = 'queued' THEN now() + i."delayMs" * interval '1 millisecond' ELSE j."runAt" END,
      "finishedAt" = CASE WHEN i.state = 'queued' THEN NULL ELSE now() END,
      progress = CASE WHEN i.state = 'completed' THEN NULL ELSE j.progress END,
      "lastError" = COALESCE(i.failure, j."lastError"),
      result = i.result
    FROM input i JOIN held h ON h.id = i."jobId" WHERE j.id = i."jobId"
    RETURNING j.id, j.queue, j."userId", j.priority, j.generation, j.fence, j.failures, j."runAt", j.lane, i.state AS "endState", i."delayMs", i.failure
  ),
  lane_ended AS (
    INSERT INTO lane_ends (lane) SELECT lane FROM finished WHERE lane IS NOT NULL AND "endState" <> 'queued'
  ),
  failed AS (
    INSERT INTO failed_attempts ("jobId", attempt, "workerId", error)
    SELECT f.id, f.fence, h."workerId", f.failure FROM finished f JOIN held h ON h.id = f.id WHERE f.failure IS NOT NULL
    ON CONFLICT DO NOTHING
  ),
  requeued AS (
    INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
    SELECT id, queue, "userId", priority, generation, "runAt", "runAt" - interval '${longestQueueDelayMs} milliseconds'
    FROM finished WHERE "endState" = 'queued' AND "delayMs" > ${longestQueueDelayMs}
    ON CONFLICT ("jobId") DO UPDATE SET generation = excluded.generation, "runAt" = excluded."runAt", "claimedUntil" = excluded."claimedUntil"
  ),
  died AS (
    INSERT INTO dead_letters ("jobId", queue, "userId", generation, attempts, fingerprint, error)
    SELECT id, queue, "userId", generation, fence, failure->>'fingerprint', failure FROM finished WHERE "endState" = 'dead'
    ON CONFLICT ("jobId") DO UPDATE SET state = 'open', queue = excluded.queue, "userId" = excluded."userId",
      generation = excluded.generation, attempts = excluded.attempts, fingerprint = excluded.fingerprint,
      error = excluded.error, "createdAt" = now(), "resolvedAt" = NULL
  ),
  emitted AS MATERIALIZED (
    SELECT e.* FROM json_to_recordset($2::json) AS e(
      "jobId" uuid, id uuid, type text, "aggregateId" text, "aggregateType" text, "userId" text, data jsonb, version int2,
      source event_source, "causationId" uuid, "correlationId" text, "requestId" text, priority int2, handled boolean, lane text, ordinality bigint, "runAt" timestamptz)
    JOIN finished f ON f.id = e."jobId"
  ),
  appended AS (
    INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, version, source, "causationId", "correlationId", "requestId")
    SELECT id, type, "aggregateId", "aggregateType", "userId", data, version, source, "causationId", "correlationId", "requestId"
    FROM emitted RETURNING id
  )`;
const finishAndTell = `
  drafted AS MATERIALIZED (
    SELECT n.* FROM json_to_recordset($3::json) AS n("jobId" uuid, ord bigint, ${notificationColumns})
    JOIN finished f ON f.id = n."jobId"
  ),
  ${notificationCtes('drafted')}
  SELECT (SELECT json_agg(json_build_object('id', id, 'fence', fence, 'runAt', "runAt", 'requeued', "endState" = 'queued' AND "delayMs" > ${longestQueueDelayMs},
                                            'endedLane', CASE WHEN "endState" <> 'queued' THEN lane END)) FROM finished) AS finished,
         (SELECT json_agg("jobId") FROM added_outbox) AS runnable,
         (SELECT json_agg(entered) FROM entered) AS entered`;
const finish = (name: string, ordered: boolean): Statement => ({
  name,
  text: `${finishJobs}, ${jobCtes('emitted', 'appended', { isRoot: false, ordered })}, ${finishAndTell}`,
});
const finishPlain = finish('jobs-finish', false);
const finishOrdered = finish('jobs-finish-ordered', true);

interface FinishedJob {
  readonly id: string;
  readonly fence: number;
  readonly runAt: string;
  readonly requeued: boolean;
  readonly endedLane: string | null;
}

interface FinishRow {
  readonly finished: readonly FinishedJob[] | null;
  /** The emitted jobs that went to the outbox. */
  readonly runnable: readonly string[] | null;
  readonly entered: readonly EnteredRow[] | null;
}

export interface FinishingOptions {
  readonly pool: pg.Pool;
  readonly publisher: Publisher;
  /** Called after the commit with the jobs it made runnable; must not throw. */
  readonly onRunnable: (runnable: readonly Runnable[]) => void;
  /** Called after the commit with the lanes in which a job has ended (`Lanes.ended`); must not throw. Without it LaneWatch finds them. */
  readonly onLanesEnded?: (lanes: readonly string[]) => void;
}

function weigh({ result, emitted, notifications }: Finish): number {
  return [...emitted, ...notifications].reduce((sum, { data }) => sum + 500 + roughSize(data), 500 + roughSize(result));
}

/** Ends attempts, in batches; then tells the rooms and the queues what was committed. */
export class Finishing {
  readonly #options: FinishingOptions;
  readonly #batcher: Batcher<Finish, Finished>;

  constructor(options: FinishingOptions) {
    this.#options = options;
    this.#batcher = new Batcher({ run: (items) => this.#finish(items), weigh });
  }

  /** @throws SynapError `unavailable`: whether it committed is unknown. */
  finish(item: Finish): Promise<Finished> {
    return this.#batcher.add(item);
  }

  async #finish(items: readonly Finish[]): Promise<Finished[]> {
    const notifications = items.flatMap(({ jobId, notifications: rows }) => rows.map((row) => ({ jobId, ...row })));
    const emitted = items.flatMap(({ jobId, emitted: events }) =>
      events.map((event) => ({ jobId, ...event, runAt: null })),
    );
    const statement = emitted.some(({ lane }) => lane !== null) ? finishOrdered : finishPlain;
    const jobs = items.map(({ emitted: _events, notifications: _rows, ...job }) => job);
    reachFaultPoint('finish.starting');
    const [row] = await runStatement<FinishRow>(this.#options.pool, statement, [
      JSON.stringify(jobs),
      JSON.stringify(emitted.map((event, ordinality) => ({ ...event, ordinality }))),
      JSON.stringify(notifications.map((notification, ord) => ({ ...notification, ord }))),
    ]);
    reachFaultPoint('finish.committed');
    if (items.some(({ state }) => state === 'dead')) reachFaultPoint('finish.dead-committed');
    this.#tell(row, notifications, emitted);
    const finished = new Map(row?.finished?.map((job) => [job.id, job]));
    return items.map(({ jobId, fence }) => {
      const job = finished.get(jobId);
      return job?.fence !== fence ? null : { runAt: Date.parse(job.runAt), requeued: job.requeued };
    });
  }

  #tell(
    row: FinishRow | undefined,
    notifications: readonly NotificationRow[],
    emitted: readonly (EmittedEvent & { readonly runAt: null })[],
  ): void {
    const { publisher, onRunnable, onLanesEnded } = this.#options;
    publisher.publish(toCommittedEntries(notifications, row?.entered ?? []));
    const runnable = new Set(row?.runnable);
    onRunnable(emitted.filter(({ id }) => runnable.has(id)).map(toRunnable));
    const lanes = (row?.finished ?? []).flatMap(({ endedLane }) => endedLane ?? []);
    if (lanes.length === 0) return;
    reachFaultPoint('lane.ended');
    onLanesEnded?.(lanes);
  }
}
