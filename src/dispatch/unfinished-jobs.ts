import type pg from 'pg';
import { runStatement, type Statement } from '../platform/database.js';
import { fewRows } from '../platform/few-rows.js';
import { longestQueueDelayMs } from '../events/statements.js';
import { isHeldByLiveWorker } from './liveness.js';

/** A job that should have a ticket in its queue. */
export interface TicketHolder {
  readonly id: string;
  readonly queue: string;
  readonly generation: number;
}

export interface Page {
  readonly jobs: readonly TicketHolder[];
  /** Where the next page begins; undefined behind the last one. */
  readonly next: string | undefined;
}

export const firstPage = '00000000-0000-0000-0000-000000000000';
/** Unfinished jobs that one statement reads, whatever it finds among them: 5 to 15 ms, also where a million wait in the outbox. */
const pageSize = 2_000;

/**
 * Not finished, released, not in the outbox, not held by a live worker: all there is of such a job is its ticket.
 * The limit comes as a column, as in outbox-due. OFFSET 0 keeps each look into the outbox one by primary key: as a join it would be
 * a scan of the whole, twice a second, however much waits there.
 */
const readPage: Statement = {
  name: 'jobs-unfinished-page',
  text: `
  WITH page AS MATERIALIZED (
    SELECT j.* FROM unnest('{${pageSize}}'::int[]) AS l(rows), LATERAL (
      SELECT id, queue, generation, state, "workerId", "runAt", "isReleased" FROM jobs
      WHERE "finishedAt" IS NULL AND id > $1 ORDER BY id LIMIT l.rows
    ) j
  )
  SELECT (SELECT id FROM page ORDER BY id OFFSET ${pageSize - 1} LIMIT 1) AS next,
    (SELECT COALESCE(json_agg(json_build_object('id', j.id, 'queue', j.queue, 'generation', j.generation)), '[]') FROM page j
     WHERE j."isReleased" AND j.queue = ANY($2) AND j."runAt" < now() - $3 * interval '1 millisecond'
       AND NOT (j.state = 'running' AND ${isHeldByLiveWorker('j')})
       AND NOT EXISTS (SELECT FROM outbox o WHERE o."jobId" = j.id OFFSET 0)) AS jobs`,
};

/** With a new generation: should the lost ticket turn up after all, its claim finds it obsolete. */
const dispatchAgain: Statement = {
  name: 'jobs-dispatch-again',
  text: `
  WITH again AS (
    UPDATE jobs j SET generation = j.generation + 1
    FROM (
      SELECT l.id FROM jobs l JOIN unnest($1::uuid[], $2::int[]) AS lost(id, generation)
        ON l.id = lost.id AND l.generation = lost.generation AND ${fewRows('lost.generation')}
      WHERE l."finishedAt" IS NULL AND l."isReleased" AND NOT (l.state = 'running' AND ${isHeldByLiveWorker('l')})
        AND NOT EXISTS (SELECT FROM outbox o WHERE o."jobId" = l.id OFFSET 0)
      ORDER BY l.id FOR UPDATE OF l SKIP LOCKED
    ) lost
    WHERE j.id = lost.id
    RETURNING j.id, j.queue, j."userId", j.priority, j.generation, j."runAt"
  )
  INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
  SELECT id, queue, "userId", priority, generation, "runAt",
         GREATEST(now(), "runAt" - interval '${longestQueueDelayMs} milliseconds') FROM again
  ON CONFLICT ("jobId") DO UPDATE SET generation = excluded.generation, "claimedUntil" = excluded."claimedUntil"
  RETURNING "jobId"`,
};

/** The jobs that live by a ticket in a queue, as Postgres knows them. */
export class UnfinishedJobs {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** @param overdueMs how long a job must have been due; negative for those whose time is still to come */
  async page(after: string, queues: readonly string[], overdueMs: number): Promise<Page> {
    const [row] = await runStatement<{ next: string | null; jobs: TicketHolder[] }>(this.#pool, readPage, [
      after,
      queues,
      overdueMs,
    ]);
    return { jobs: row?.jobs ?? [], next: row?.next ?? undefined };
  }

  /** Back into the outbox, if they are still as they were read. @returns how many. */
  async dispatchAgain(jobs: readonly TicketHolder[]): Promise<number> {
    const ids = jobs.map(({ id }) => id);
    const again = await runStatement(this.#pool, dispatchAgain, [ids, jobs.map(({ generation }) => generation)]);
    return again.length;
  }
}
