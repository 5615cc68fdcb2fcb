import type { Statement } from '../platform/database.js';
import { fewRows } from '../platform/few-rows.js';

/**
 * How long a new outbox row belongs to the process that inserted it. It enqueues at once (the fast path); where it dies
 * first, the dispatcher takes over when this has passed.
 */
export const fastPathLease = `interval '500 milliseconds'`;
/** Longer delays wait in Postgres and are handed to a queue shortly before their time. */
export const longestQueueDelayMs = 60_000;

const columns = `
  id uuid, type text, "aggregateId" text, "aggregateType" text, "userId" text, data jsonb, version int2, source event_source,
  "causationId" uuid, "correlationId" text, "requestId" text, priority int2, "runAt" timestamptz, handled boolean, lane text,
  key text, "requestHash" text`;

/**
 * SQL: gives the rows (id, lane, ordinality) of `from` places at the end of their lanes, under the lanes' locks until COMMIT:
 * so the order of places is the order of commits. The first of a new lane is its head.
 */
const raiseLanes = (from: string): string => `
    INSERT INTO lanes (key, "lastPosition", head)
    SELECT lane, count(*), (array_agg(id ORDER BY ordinality))[1] FROM ${from} GROUP BY lane ORDER BY lane
    ON CONFLICT (key) DO UPDATE SET "lastPosition" = lanes."lastPosition" + excluded."lastPosition"
    RETURNING key, head, "lastPosition"`;

/** Puts one job, `$2`, at the end of the lane `$1`; answers its place and whether it is its turn. */
export const placeLast = `WITH raised AS (${raiseLanes('(SELECT $1::text AS lane, $2::uuid AS id, 1 AS ordinality) AS l')})
  SELECT "lastPosition" AS position, head = $2::uuid AS "isHead" FROM raised`;

/**
 * The columns of `jobs` and `outbox` that appending an event fills, from a CTE with the columns above and the rows' order in
 * `ordinality`. Only what was appended is given a place in its lane, and only the head of a lane goes to the outbox: the end
 * of one releases the next (src/dispatch/lanes.ts). Without `ordered` nobody is asked for a lane.
 */
export function jobCtes(source: string, appended: string, options: { isRoot: boolean; ordered: boolean }): string {
  const { isRoot, ordered } = options;
  const rows = `FROM ${source} i JOIN ${appended} a ON a.id = i.id ${ordered ? 'LEFT JOIN placed p ON p.id = i.id' : ''} WHERE i.handled`;
  const lanes = `
  queuing AS (
    SELECT i.id, i.lane, i.ordinality FROM ${source} i JOIN ${appended} a ON a.id = i.id WHERE i.handled AND i.lane IS NOT NULL
  ),
  raised AS (${raiseLanes('queuing')}),
  placed AS (
    SELECT q.id, q.lane, r.head = q.id AS "isHead", r."lastPosition" - count(*) OVER (PARTITION BY q.lane)
           + row_number() OVER (PARTITION BY q.lane ORDER BY q.ordinality) AS position
    FROM queuing q JOIN raised r ON r.key = q.lane
  ),`;
  return `${ordered ? lanes : ''}
  added_jobs AS (
    INSERT INTO jobs (id, queue, "userId", "requestId", "isRoot", state, priority, "runAt"${ordered ? ', lane, position, "isReleased"' : ''})
    SELECT i.id, i.type, i."userId", i."requestId", ${isRoot},
           CASE WHEN i."runAt" > now() THEN 'scheduled' ELSE 'queued' END::job_state, i.priority, COALESCE(i."runAt", now())
           ${ordered ? ', p.lane, p.position, COALESCE(p."isHead", true)' : ''}
    ${rows}
  ),
  added_outbox AS (
    INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
    SELECT i.id, i.type, i."userId", i.priority, 1, COALESCE(i."runAt", now()),
           GREATEST(now() + ${fastPathLease}, i."runAt" - interval '${longestQueueDelayMs} milliseconds')
    ${rows} ${ordered ? 'AND COALESCE(p."isHead", true)' : ''} RETURNING "jobId"
  )`;
}

/** SQL: whether an idempotency key counts no more, by what it may last in milliseconds. */
const isOld = (key: string, lastsMs: string): string =>
  `${key}."createdAt" < now() - ${lastsMs} * interval '1 millisecond'`;

/**
 * SQL: whether the input row `i` says again what stands under its id; null where nothing does. Scalar, as all that is asked of
 * `events` here: an EXISTS would become a join, for which the planner reads the whole table.
 */
const isRepeat = (i: string): string =>
  `(SELECT e."userId" = ${i}."userId" AND e.type = ${i}.type AND e.data = ${i}.data FROM events e WHERE e.id = ${i}.id)`;

/**
 * Event, job, outbox row and idempotency key in one statement, so in one transaction. Rows are sorted by their keys:
 * unsorted batches deadlock. What a row lost to (a repeated key, a taken id) is read by a second statement, because this
 * one's snapshot cannot see it. A key that is too old counts as new.
 *
 * A refused event must not use its key up: rows whose id is taken are left out, and should an id be taken meanwhile, the
 * statement fails (`broken`, 22012) and is run again: then it sees who took it.
 */
const append = (ordered: boolean): Statement => ({
  name: ordered ? 'events-append-ordered' : 'events-append',
  text: `
  WITH input AS MATERIALIZED (SELECT * FROM ROWS FROM (json_to_recordset($1::json) AS (${columns})) WITH ORDINALITY AS i),
  keyed AS (
    INSERT INTO idempotency_keys ("userId", key, "requestHash", "eventId")
    SELECT "userId", key, "requestHash", id FROM input i WHERE key IS NOT NULL AND COALESCE(${isRepeat('i')}, true) ORDER BY "userId", key
    ON CONFLICT ("userId", key) DO UPDATE SET "requestHash" = excluded."requestHash", "eventId" = excluded."eventId", "createdAt" = now()
      WHERE ${isOld('idempotency_keys', '$2')}
    RETURNING "eventId"
  ),
  appended AS (
    INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, version, source, "causationId", "correlationId", "requestId")
    SELECT id, type, "aggregateId", "aggregateType", "userId", data, version, source, "causationId", "correlationId", "requestId"
    FROM input i WHERE key IS NULL OR EXISTS (SELECT FROM keyed k WHERE k."eventId" = i.id) ORDER BY id
    ON CONFLICT (id) DO NOTHING RETURNING id
  ),
  broken AS (
    SELECT 1 / (count(*) = 0)::int AS whole FROM keyed k
    WHERE k."eventId" NOT IN (SELECT id FROM appended) AND (SELECT e.id FROM events e WHERE e.id = k."eventId") IS NULL
  ),
  ${jobCtes('input', 'appended', { isRoot: true, ordered })}
  SELECT whole, a.id, ${ordered ? 'o."jobId" IS NOT NULL' : 'true'} AS "isReleased" FROM broken LEFT JOIN appended a ON true
  ${ordered ? 'LEFT JOIN added_outbox o ON o."jobId" = a.id' : ''}`,
});
export const appendPlain = append(false);
export const appendOrdered = append(true);
export const divisionByZero = '22012';

export const readWinners: Statement = {
  name: 'events-read-winners',
  text: `
  WITH input AS MATERIALIZED (SELECT * FROM json_to_recordset($1::json) AS i(nth int, ${columns}) WHERE ${fewRows('i.nth')})
  SELECT i.nth, k."requestHash" = i."requestHash" AS "sameHash", e.type = i.type AND e.data = i.data AS "sameEvent",
         k.key IS NULL AND (SELECT t.id FROM events t WHERE t.id = i.id) IS NULL AS "isFree",
         e.id, e."aggregateId", e."correlationId", e."requestId"
  FROM input i
  LEFT JOIN idempotency_keys k ON k."userId" = i."userId" AND k.key = i.key AND NOT ${isOld('k', '$2')}
  LEFT JOIN events e ON e.id = COALESCE(k."eventId", i.id) AND e."userId" = i."userId"`,
};

/** Whose the key is: that body's which has it, or this one's where nobody has it any more. */
export const reserve: Statement = {
  name: 'events-reserve-key',
  text: `
  INSERT INTO idempotency_keys AS k ("userId", key, "requestHash", "eventId") VALUES ($1, $2, $3, $4)
  ON CONFLICT ("userId", key) DO UPDATE SET "requestHash" = excluded."requestHash",
    "createdAt" = CASE WHEN ${isOld('k', '$5')} THEN now() ELSE k."createdAt" END
    WHERE k."requestHash" = excluded."requestHash" OR ${isOld('k', '$5')}
  RETURNING key`,
};
