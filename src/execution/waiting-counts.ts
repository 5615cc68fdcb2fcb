import type pg from 'pg';
import { runStatement } from '../platform/database.js';

/** What of a queue waits in Postgres and so is not in its store. */
export interface WaitingCounts {
  readonly queue: string;
  /** Should be in the queue's store by now, or will be when there is room. */
  readonly due: number;
  readonly scheduled: number;
  /** Open dead letters. */
  readonly dead: number;
}

/** Counting stops here: an operator needs to know "many", and a backlog of a million rows must not be read for it. */
export const countedUpTo = 10_000;

const statement = {
  name: 'waiting-counts',
  text: `
  WITH dead AS (
    SELECT queue, count(*)::int AS n FROM (SELECT queue FROM dead_letters WHERE state = 'open' LIMIT ${countedUpTo + 1}) d GROUP BY queue
  )
  SELECT q.queue, o.due, o.scheduled, COALESCE(dead.n, 0) AS dead
  FROM unnest($1::text[]) AS q(queue)
  CROSS JOIN unnest(ARRAY[${countedUpTo + 1}]) AS l(rows)
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE "runAt" <= now())::int AS due, count(*) FILTER (WHERE "runAt" > now())::int AS scheduled
    FROM (SELECT "runAt" FROM outbox WHERE outbox.queue = q.queue ORDER BY "claimedUntil" LIMIT l.rows) w
  ) o
  LEFT JOIN dead ON dead.queue = q.queue`,
};

export function readWaitingCounts(pool: pg.Pool, queues: readonly string[]): Promise<WaitingCounts[]> {
  return runStatement<WaitingCounts>(pool, statement, [queues]);
}
