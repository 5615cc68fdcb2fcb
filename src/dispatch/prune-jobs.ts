import { sql } from 'kysely';
import type { Sql } from '../platform/database.js';
import { batchSize, cursorAfter, type Pruned, type Stretch } from './sweep.js';

interface Row {
  readonly seen: number;
  readonly ended: number;
  readonly lastSeen: string | null;
  readonly lastTaken: string | null;
  readonly jobs: number;
  readonly dead: number;
  readonly steps: number;
  readonly attempts: number;
}

/**
 * Jobs that ended before the stretch's time, with their steps and failed attempts. A dead one goes so long
 * after somebody has closed its dead letter, which itself stays. A job of many steps counts as many rows: what is over the batch is left for the next.
 */
export async function pruneJobs(tx: Sql, stretch: Stretch): Promise<Pruned> {
  const { rows } = await sql<Row>`
    WITH page AS MATERIALIZED (
      SELECT id FROM jobs WHERE id > ${stretch.from} AND id <= ${stretch.to} ORDER BY id LIMIT ${batchSize}
    ),
    ended AS MATERIALIZED (
      SELECT j.id, j.state FROM page p JOIN jobs j ON j.id = p.id
      WHERE j."finishedAt" < ${stretch.before}
        AND (j.state IN ('completed', 'cancelled')
          OR j.state = 'dead' AND EXISTS (
            SELECT FROM dead_letters d WHERE d."jobId" = j.id AND d.state <> 'open' AND d."resolvedAt" < ${stretch.before}))
      ORDER BY j.id FOR UPDATE OF j SKIP LOCKED
    ),
    weighed AS (
      SELECT id, state, 1 + (SELECT count(*) FROM steps s WHERE s."jobId" = e.id)
                          + (SELECT count(*) FROM failed_attempts f WHERE f."jobId" = e.id) AS weight
      FROM ended e
    ),
    taken AS MATERIALIZED (
      SELECT id, state FROM (SELECT *, sum(weight) OVER (ORDER BY id) - weight AS before FROM weighed) w
      WHERE before < ${batchSize}
    ),
    gone_steps AS (DELETE FROM steps s USING taken t WHERE s."jobId" = t.id RETURNING 1),
    gone_attempts AS (DELETE FROM failed_attempts f USING taken t WHERE f."jobId" = t.id RETURNING 1),
    gone_outbox AS (DELETE FROM outbox o USING taken t WHERE o."jobId" = t.id),
    gone AS (DELETE FROM jobs j USING taken t WHERE j.id = t.id RETURNING t.state)
    SELECT (SELECT count(*)::int FROM page) AS seen, (SELECT count(*)::int FROM ended) AS ended,
           (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS "lastSeen", (SELECT id FROM taken ORDER BY id DESC LIMIT 1) AS "lastTaken",
           (SELECT count(*)::int FROM gone) AS jobs, (SELECT count(*)::int FROM gone WHERE state = 'dead') AS dead,
           (SELECT count(*)::int FROM gone_steps) AS steps, (SELECT count(*)::int FROM gone_attempts) AS attempts`.execute(
    tx,
  );
  const [row] = rows;
  if (row === undefined) return { deleted: {}, cursor: undefined };
  const { seen, ended, jobs, dead, steps, attempts } = row;
  return {
    deleted: { jobs, dead_jobs: dead, steps, failed_attempts: attempts },
    cursor: jobs < ended && row.lastTaken !== null ? row.lastTaken : cursorAfter(stretch, seen, row.lastSeen),
  };
}
