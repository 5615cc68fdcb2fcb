import { sql } from 'kysely';
import type { Sql } from '../platform/database.js';
import { batchSize, cursorAfter, type Pruned, type Stretch } from './sweep.js';

/** Events before the stretch's time whose job has been deleted, or that never had one. */
export async function pruneEvents(tx: Sql, stretch: Stretch): Promise<Pruned> {
  const { rows } = await sql<{ seen: number; last: string | null; events: number }>`
    WITH page AS MATERIALIZED (
      SELECT id FROM events WHERE id > ${stretch.from} AND id <= ${stretch.to} ORDER BY id LIMIT ${batchSize}
    ),
    taken AS MATERIALIZED (
      SELECT e.id FROM page p JOIN events e ON e.id = p.id
      WHERE e.timestamp < ${stretch.before}
        AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = e.id)
        AND NOT EXISTS (SELECT FROM dead_letters d WHERE d."jobId" = e.id AND d.state = 'open')
      ORDER BY e.id FOR UPDATE OF e SKIP LOCKED
    ),
    gone AS (DELETE FROM events e USING taken t WHERE e.id = t.id RETURNING 1)
    SELECT (SELECT count(*)::int FROM page) AS seen, (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last,
           (SELECT count(*)::int FROM gone) AS events`.execute(tx);
  const [row] = rows;
  if (row === undefined) return { deleted: {}, cursor: undefined };
  return { deleted: { events: row.events }, cursor: cursorAfter(stretch, row.seen, row.last) };
}
