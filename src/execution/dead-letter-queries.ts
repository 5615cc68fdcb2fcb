import { sql } from 'kysely';
import { z } from 'zod';
import type { Page } from '../events/queries.js';
import { defineCursor } from '../platform/cursor.js';
import type { Database } from '../platform/database.js';
import { matches } from './dead-letter-filter.js';
import type {
  DeadLetterDetail,
  DeadLetterGroup,
  DeadLetterQueries,
  DeadLetterSelection,
  DeadLetterView,
  FailedAttempt,
  HistoryEntry,
  LetterJob,
} from './dead-letters.js';

const listCursor = defineCursor('dead-letters', z.tuple([z.iso.datetime(), z.uuid()]));
const groupCursor = defineCursor('dead-letter-groups', z.tuple([z.number().int(), z.string(), z.string()]));
const shownAttempts = 100;

const ofState = ({ state }: DeadLetterSelection) =>
  state === 'all' ? sql`true` : sql`d.state = ${state}::dead_letter_state`;

const viewColumns = sql`
  d."jobId", d.queue AS type, d."userId", d.state, d.generation, d.attempts, d.replays, d.fingerprint, d."createdAt" AS "diedAt",
  d."resolvedAt", e.timestamp AS "acceptedAt", e."aggregateId", e."requestId", e."correlationId"`;

/** A closed letter outlives both, and an id that is free again may be another user's by now. */
const withEvent = sql`dead_letters d LEFT JOIN events e ON e.id = d."jobId" AND e."userId" = d."userId"`;

export function createDeadLetterQueries({ sql: db }: Pick<Database, 'sql'>): DeadLetterQueries {
  return {
    async list(selection, { cursor, limit }) {
      const [at, id] = cursor === undefined ? [undefined, undefined] : listCursor.decode(cursor);
      const after = at === undefined ? sql`true` : sql`(d."createdAt", d."jobId") < (${at}::timestamptz, ${id}::uuid)`;
      const { rows } = await sql<DeadLetterView>`
        SELECT ${viewColumns}, d.error - 'stack' AS error FROM ${withEvent}
        WHERE ${ofState(selection)} AND ${matches(selection)} AND ${after}
        ORDER BY d."createdAt" DESC, d."jobId" DESC LIMIT ${limit + 1}`.execute(db);
      return toPage(rows, limit, (last) => listCursor.encode([last.diedAt.toISOString(), last.jobId]));
    },

    async groups(selection, { cursor, limit }) {
      const after = cursor === undefined ? sql`true` : isBehind(groupCursor.decode(cursor));
      const { rows } = await sql<DeadLetterGroup>`
        WITH groups AS (
          SELECT d.fingerprint, d.queue AS type, count(*)::int AS count, min(d."createdAt") AS "firstAt", max(d."createdAt") AS "lastAt"
          FROM dead_letters d WHERE ${ofState(selection)} AND ${matches(selection)} GROUP BY d.fingerprint, d.queue
        ),
        page AS (SELECT * FROM groups g WHERE ${after} ORDER BY count DESC, fingerprint, type LIMIT ${limit + 1})
        SELECT page.*, sample.* FROM page CROSS JOIN LATERAL (
          SELECT d."jobId", d.error->>'code' AS code, d.error->>'message' AS message FROM dead_letters d
          WHERE d.fingerprint = page.fingerprint AND d.queue = page.type AND ${ofState(selection)} AND ${matches(selection)}
          ORDER BY d."createdAt" DESC LIMIT 1
        ) sample
        ORDER BY page.count DESC, page.fingerprint, page.type`.execute(db);
      return toPage(rows, limit, (last) => groupCursor.encode([last.count, last.fingerprint, last.type]));
    },

    find: (jobId) => readDetail(db, jobId),
  };
}

const isBehind = ([count, fingerprint, type]: readonly [number, string, string]) =>
  sql`(-g.count, g.fingerprint, g.type) > (${-count}::int, ${fingerprint}, ${type})`;

type DetailRow = DeadLetterView &
  Pick<DeadLetterDetail, 'payload' | 'correction' | 'job'> & { readonly history: unknown };

async function readDetail(db: Database['sql'], jobId: string): Promise<DeadLetterDetail | undefined> {
  const { rows } = await sql<DetailRow>`
    SELECT ${viewColumns}, d.error, d.history, e.data AS payload, j.correction,
           CASE WHEN j.id IS NOT NULL THEN json_build_object('state', j.state, 'generation', j.generation, 'failures', j.failures, 'crashes', j.crashes,
             'priority', j.priority, 'runAt', j."runAt", 'startedAt', j."startedAt", 'finishedAt', j."finishedAt") END AS job
    FROM ${withEvent} LEFT JOIN jobs j ON j.id = d."jobId" AND j."userId" = d."userId"
    WHERE d."jobId" = ${jobId}`.execute(db);
  const [row] = rows;
  if (row === undefined) return undefined;
  const [failedAttempts, steps] = await Promise.all([readAttempts(db, jobId), readSteps(db, jobId)]);
  return { ...row, history: row.history as HistoryEntry[], job: row.job && withTimes(row.job), failedAttempts, steps };
}

/** Times inside JSON arrive as text in the session's offset. */
function withTimes(job: LetterJob): LetterJob {
  const toTime = (at: Date | null) => (at === null ? null : new Date(at));
  return {
    ...job,
    runAt: new Date(job.runAt),
    startedAt: toTime(job.startedAt),
    finishedAt: toTime(job.finishedAt),
  };
}

async function readAttempts(db: Database['sql'], jobId: string): Promise<FailedAttempt[]> {
  const rows = await db
    .selectFrom('failed_attempts')
    .select(['attempt', 'failedAt', 'workerId', 'error'])
    .where('jobId', '=', jobId)
    .orderBy('attempt', 'desc')
    .limit(shownAttempts)
    .execute();
  return rows.map((row) => ({ ...row, error: row.error as FailedAttempt['error'] }));
}

function readSteps(db: Database['sql'], jobId: string): Promise<{ name: string; attempt: number; at: Date }[]> {
  return db
    .selectFrom('steps')
    .select(['name', 'fence as attempt', 'createdAt as at'])
    .where('jobId', '=', jobId)
    .orderBy('createdAt')
    .orderBy('name')
    .execute();
}

function toPage<Item>(rows: readonly Item[], limit: number, encode: (last: Item) => string): Page<Item> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return rows.length > limit && last !== undefined ? { items, nextCursor: encode(last) } : { items };
}
