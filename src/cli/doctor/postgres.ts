import pg from 'pg';
import { features } from '../../features/index.js';
import type { Config } from '../../platform/config.js';
import { toError } from '../../platform/errors.js';
import { findingsOf, type Finding } from './finding.js';

const part = findingsOf('postgres');
const clockPart = findingsOf('clock');

const connectTimeoutMs = 5_000;
const oldestVersion = 130_000;
const testedVersion = 150_000;
const skewMs = { warn: 1_000, fail: 30_000 };
/** Prisma's pool and the connections for locks, heartbeats and pings, beside DB_POOL_MAX. */
const fixedConnections = 5 + 4;
/** What the queues' pool takes beside one connection per queue. */
const queuePoolSpare = 8;

export interface PostgresCheck {
  readonly databaseUrl: string;
  readonly config: Config;
  /** Names of the migrations that this version has. */
  readonly migrations: readonly string[];
}

/** Reachable, new enough, durable, large enough, migrated, on time. */
export async function checkPostgres(check: PostgresCheck): Promise<Finding[]> {
  const client = new pg.Client({
    connectionString: check.databaseUrl,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'synap-doctor',
  });
  client.on('error', () => undefined);
  const { host, pathname } = new URL(check.databaseUrl);
  try {
    await client.connect();
  } catch (thrown) {
    return [
      part.fail(
        `cannot be reached at ${host}${pathname}: ${reasonOf(thrown)}`,
        'Start it, or correct DATABASE_URL. bin/start brings one of its own.',
      ),
    ];
  }
  try {
    const settings = await readSettings(client);
    return [
      ...version(settings, `${host}${pathname}`),
      ...durability(settings),
      ...connections(settings, check.config),
      ...(await migrations(client, check)),
      ...(await clock(client)),
    ];
  } finally {
    await client.end();
  }
}

interface ServerSettings {
  readonly version: number;
  readonly versionName: string;
  readonly encoding: string;
  readonly isReplica: boolean;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly fullPageWrites: string;
  readonly maxConnections: number;
  readonly reserved: number;
}

async function readSettings(client: pg.Client): Promise<ServerSettings> {
  const { rows } = await client.query<ServerSettings>(`
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS "versionName",
           current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS "isReplica",
           current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS "synchronousCommit",
           current_setting('full_page_writes') AS "fullPageWrites", current_setting('max_connections')::int AS "maxConnections",
           current_setting('superuser_reserved_connections')::int AS reserved`);
  const [row] = rows;
  if (row === undefined) throw new Error('PostgreSQL did not answer with its settings');
  return row;
}

function version(settings: ServerSettings, where: string): Finding[] {
  const name = `PostgreSQL ${settings.versionName} at ${where}`;
  const advice = 'Use PostgreSQL 15 or later.';
  const findings = [
    settings.version < oldestVersion
      ? part.fail(`${name} is too old`, advice)
      : settings.version < testedVersion
        ? part.warn(`${name}; Synap is tested on 15 and later`, advice)
        : part.ok(name),
  ];
  if (settings.encoding !== 'UTF8')
    findings.push(part.fail(`the encoding is ${settings.encoding}`, 'Create the database with ENCODING UTF8.'));
  if (settings.isReplica)
    findings.push(part.fail('this server is a read-only replica', 'Let DATABASE_URL name the primary.'));
  return findings;
}

/** "Accepted" means committed to disk; each of these lets a power cut take it back. */
function durability({ fsync, synchronousCommit, fullPageWrites }: ServerSettings): Finding[] {
  const findings: Finding[] = [];
  if (fsync === 'off')
    findings.push(part.fail('fsync is off: a crash of the machine can destroy the database', 'Set fsync = on.'));
  if (synchronousCommit === 'off') {
    findings.push(
      part.fail(
        'synchronous_commit is off: the last moments of accepted events are lost in a crash',
        'Set synchronous_commit = on.',
      ),
    );
  }
  if (fullPageWrites === 'off') {
    findings.push(
      part.warn(
        'full_page_writes is off: a crash can tear pages',
        'Set full_page_writes = on, unless the file system prevents torn pages.',
      ),
    );
  }
  return findings.length > 0 ? findings : [part.ok(`durable: fsync on, synchronous_commit ${synchronousCommit}`)];
}

function connections({ maxConnections, reserved }: ServerSettings, config: Config): Finding[] {
  const queues = features.flatMap(({ handlers }) => handlers).length;
  const perProcess =
    config.database.poolMax + fixedConnections + (config.redis.url === undefined ? queues + queuePoolSpare : 0);
  const available = maxConnections - reserved;
  const text = `one process uses up to ${perProcess} of ${available} connections`;
  if (perProcess <= available) return [part.ok(`${text}, so ${Math.floor(available / perProcess)} fit`)];
  return [part.fail(text, 'Lower DB_POOL_MAX, or raise max_connections.')];
}

async function migrations(client: pg.Client, { migrations: known, config }: PostgresCheck): Promise<Finding[]> {
  const { rows } = await client.query<{ migrations: string | null; queues: string | null }>(
    `SELECT to_regclass('_prisma_migrations')::text AS migrations, to_regnamespace('bullmq')::text AS queues`,
  );
  const applied = rows[0]?.migrations === null ? [] : await appliedMigrations(client);
  const pending = known.filter((name) => !applied.includes(name));
  const needsQueues = config.redis.url === undefined && rows[0]?.queues === null;
  if (pending.length === 0 && !needsQueues) return [part.ok(`migrated: ${applied.at(-1) ?? 'nothing to apply'}`)];
  const what =
    pending.length > 0 ? `${pending.length} pending: ${pending.join(', ')}` : "the queues' tables are missing";
  return [part.fail(`the schema is not this version's, ${what}`, 'Run "synap migrate".')];
}

async function appliedMigrations(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY started_at',
  );
  return rows.map(({ name }) => name);
}

/** Tokens expire by this machine's clock, leases and delays by the database's. */
async function clock(client: pg.Client): Promise<Finding[]> {
  const askedAt = Date.now();
  const { rows } = await client.query<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  const offMs = Math.abs((rows[0]?.now ?? 0) - (askedAt + Date.now()) / 2);
  const text = `this machine and the database differ by ${Math.round(offMs)} ms`;
  const advice = 'Synchronize both with NTP.';
  if (offMs > skewMs.fail) return [clockPart.fail(text, advice)];
  return [offMs > skewMs.warn ? clockPart.warn(text, advice) : clockPart.ok(text)];
}

/** Node reports a refused "localhost" as an AggregateError without a message of its own. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return toError(thrown.errors[0]).message;
  return toError(thrown).message;
}
