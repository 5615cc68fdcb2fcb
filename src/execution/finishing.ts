import type pg from 'pg';
import { Batcher } from '../platform/batcher.js';
import { runStatement, type Statement } from '../platform/database.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import { roughSize } from '../platform/rough-size.js';
import type { Json } from '../platform/text.js';
import { jobCtes, longestQueueDelayMs, toRunnable } from '../events/store.js';
import type { EventDraft } from '../events/synap-event.js';
import type { Runnable } from '../queues/ticket.js';
import {
  notificationColumns,
  notificationCtes,
  toCommittedEntries,
  type EnteredRow,
  type NotificationRow,
} from '../realtime/notification-log.js';
import type { Publisher } from '../realtime/publisher.js';
import type { Failure } from './outcome.js';

export interface EmittedEvent extends EventDraft {
  readonly priority: number;
  readonly handled: boolean;
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
 * brought this attempt may still be there (dispatch deletes it afterwards) and is replaced.
 */
const finish: Statement = {
  name: 'jobs-finish',
  text: `
  WITH input AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS i("jobId" uuid, fence int, state job_state, "delayMs" bigint, failed boolean, failure jsonb, result jsonb)
  ),
  held AS (
    SELECT j.id, j."workerId" FROM jobs j JOIN input i ON i."jobId" = j.id AND i.fence = j.fence WHERE j.state = 'running'
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
    ON CONFLICT ("jobId") DO UPDATE SET state = 'open', generation = excluded.generation, attempts = excluded.attempts,
      fingerprint = excluded.fingerprint, error = excluded.error, "createdAt" = now(), "resolvedAt" = NULL
  ),
  emitted AS MATERIALIZED (
    SELECT e.* FROM json_to_recordset($2::json) AS e(
      "jobId" uuid, id uuid, type text, "aggregateId" text, "aggregateType" text, "userId" text, data jsonb, version int2,
      source event_source, "causationId" uuid, "correlationId" text, "requestId" text, priority int2, handled boolean, "runAt" timestamptz)
    JOIN finished f ON f.id = e."jobId"
  ),
  appended AS (
    INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, version, source, "causationId", "correlationId", "requestId")
    SELECT id, type, "aggregateId", "aggregateType", "userId", data, version, source, "causationId", "correlationId", "requestId"
    FROM emitted RETURNING id
  ),
  ${jobCtes('emitted', 'appended', false)},
  drafted AS MATERIALIZED (
    SELECT n.* FROM json_to_recordset($3::json) AS n("jobId" uuid, ord bigint, ${notificationColumns})
    JOIN finished f ON f.id = n."jobId"
  ),
  ${notificationCtes('drafted')}
  SELECT (SELECT json_agg(json_build_object('id', id, 'fence', fence, 'runAt', "runAt", 'requeued', "endState" = 'queued' AND "delayMs" > ${longestQueueDelayMs})) FROM finished) AS finished,
         (SELECT json_agg(entered) FROM entered) AS entered`,
};

interface FinishRow {
  readonly finished:
    | readonly { readonly id: string; readonly fence: number; readonly runAt: string; readonly requeued: boolean }[]
    | null;
  readonly entered: readonly EnteredRow[] | null;
}

export interface FinishingOptions {
  readonly pool: pg.Pool;
  readonly publisher: Publisher;
  /** Called after the commit with the jobs it made runnable; must not throw. */
  readonly onRunnable: (runnable: readonly Runnable[]) => void;
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
    const jobs = items.map(({ emitted: _events, notifications: _rows, ...job }) => job);
    reachFaultPoint('finish.starting');
    const [row] = await runStatement<FinishRow>(this.#options.pool, finish, [
      JSON.stringify(jobs),
      JSON.stringify(emitted),
      JSON.stringify(notifications.map((notification, ord) => ({ ...notification, ord }))),
    ]);
    reachFaultPoint('finish.committed');
    if (items.some(({ state }) => state === 'dead')) reachFaultPoint('finish.dead-committed');
    const finished = new Map((row?.finished ?? []).map((job) => [job.id, job]));
    this.#options.publisher.publish(toCommittedEntries(notifications, row?.entered ?? []));
    this.#options.onRunnable(emitted.filter(({ jobId, handled }) => handled && finished.has(jobId)).map(toRunnable));
    return items.map(({ jobId, fence }) => {
      const job = finished.get(jobId);
      return job?.fence !== fence ? null : { runAt: Date.parse(job.runAt), requeued: job.requeued };
    });
  }
}
