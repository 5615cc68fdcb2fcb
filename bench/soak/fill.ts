import pg from 'pg';
import { fillStatements, type Amounts } from './fill-statements.ts';

export interface Filled {
  readonly seconds: number;
  readonly tables: readonly TableSize[];
}

export interface TableSize {
  readonly table: string;
  readonly rows: number;
  readonly tableMb: number;
  readonly indexesMb: number;
}

/** Tables whose second indexes are made when they are full: a tenth of the time. */
const large = ['events', 'jobs', 'outbox', 'idempotency_keys', 'rooms'];

interface Index {
  readonly name: string;
  readonly definition: string;
}

/**
 * Fills a migrated database as months of use and a long outage would have: rows in the order of their times, heads that agree with
 * entries, and everything vacuumed and analyzed once, as autovacuum would have. Indexes are built as full as they grow to be by inserts at random.
 */
export async function fill(databaseUrl: string, amounts: Amounts, log: (line: string) => void): Promise<Filled> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const beganAt = performance.now();
  try {
    await client.query(`ALTER SYSTEM SET max_wal_size = '8GB'`);
    await client.query('SELECT pg_reload_conf()');
    await client.query(`SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'; SET synchronous_commit = off`);
    const indexes = await takeIndexes(client);
    for (const { what, text } of fillStatements(amounts, Date.now())) await timed(log, what, () => client.query(text));
    for (const { name, definition } of indexes) await timed(log, name, () => client.query(definition));
    await timed(log, 'vacuum', () => client.query('VACUUM (FREEZE, ANALYZE)'));
    await client.query('ALTER SYSTEM RESET max_wal_size');
    await client.query('SELECT pg_reload_conf()');
    await client.query('CHECKPOINT');
    await check(client, amounts);
    return { seconds: (performance.now() - beganAt) / 1_000, tables: await sizes(client) };
  } finally {
    await client.end();
  }
}

async function timed(log: (line: string) => void, what: string, run: () => Promise<unknown>): Promise<void> {
  const beganAt = performance.now();
  await run();
  log(`filled ${what} in ${((performance.now() - beganAt) / 1_000).toFixed(1)} s`);
}

async function takeIndexes(client: pg.Client): Promise<Index[]> {
  const { rows } = await client.query<Index>(
    `SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
     JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
     WHERE t.relname = ANY($1) AND NOT i.indisprimary`,
    [large],
  );
  for (const { name } of rows) await client.query(`DROP INDEX "${name}"`);
  return rows.map(({ name, definition }) => ({ name, definition: withFill(definition) }));
}

/** A B-tree that grows at random is about 70 % full. */
function withFill(definition: string): string {
  const options = ' WITH (fillfactor = 70)';
  const where = definition.indexOf(' WHERE ');
  return where < 0 ? definition + options : definition.slice(0, where) + options + definition.slice(where);
}

/** What Synap relies on, of the whole or of a sample. */
const invariants: Readonly<Record<string, string>> = {
  'every job has its event': `SELECT count(*) FROM (SELECT id FROM jobs TABLESAMPLE SYSTEM (1)) j WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = j.id)`,
  'every caused event has its cause': `SELECT count(*) FROM (SELECT "causationId" AS id FROM events TABLESAMPLE SYSTEM (1) WHERE "causationId" IS NOT NULL) c
    WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = c.id)`,
  'every unfinished job waits in the outbox': `SELECT count(*) FROM jobs j WHERE j."finishedAt" IS NULL AND NOT EXISTS (SELECT FROM outbox o WHERE o."jobId" = j.id)`,
  'every outbox row has its unfinished job': `SELECT count(*) FROM outbox o LEFT JOIN jobs j ON j.id = o."jobId" WHERE j.state IS DISTINCT FROM 'queued' OR j.generation <> o.generation`,
  'heads agree with entries': `SELECT count(*) FROM rooms r LEFT JOIN (SELECT room, count(*) AS n, min(seq) AS low, max(seq) AS top FROM room_entries GROUP BY room) e ON e.room = r.key
    WHERE (e.n, e.low, e.top) IS DISTINCT FROM (r."lastSeq", 1::bigint, r."lastSeq") OR r."publishedSeq" <> r."lastSeq"`,
  'every entry has its notification': `SELECT count(*) FROM room_entries e LEFT JOIN notifications n ON n.id = e."notificationId" WHERE n.id IS NULL`,
  'every key has its event': `SELECT count(*) FROM (SELECT "eventId" AS id FROM idempotency_keys TABLESAMPLE SYSTEM (5)) k WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = k.id)`,
};

async function check(client: pg.Client, { events, waiting, notifications }: Amounts): Promise<void> {
  for (const [what, text] of Object.entries(invariants)) {
    const { rows } = await client.query<{ count: string }>(text);
    if (rows[0]?.count !== '0')
      throw new Error(`the filled database is not as Synap's: not ${what} (${rows[0]?.count})`);
  }
  const { rows } = await client.query<{ events: string; waiting: string; notifications: string }>(
    `SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM outbox) AS waiting, (SELECT count(*) FROM notifications) AS notifications`,
  );
  const [found] = rows;
  const isFull =
    Number(found?.events) >= events - 1 &&
    Number(found?.waiting) >= waiting &&
    Number(found?.notifications) >= notifications;
  if (!isFull) throw new Error(`the filled database has less than was wanted: ${JSON.stringify(found)}`);
}

async function sizes(client: pg.Client): Promise<TableSize[]> {
  const { rows } = await client.query<TableSize>(
    `SELECT relname AS table, reltuples::float8 AS rows, pg_table_size(oid)::float8 / 1048576 AS "tableMb", pg_indexes_size(oid)::float8 / 1048576 AS "indexesMb"
     FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_table_size(oid) > 1048576 ORDER BY pg_total_relation_size(oid) DESC`,
  );
  return rows;
}
