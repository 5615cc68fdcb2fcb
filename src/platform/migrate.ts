import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { SynapError, toError } from './errors.js';
import type { Logger } from './logger.js';
import type { Migration } from './schema-engine.js';
import { summarizeEngineLog } from './schema-engine-log.js';

export interface MigrateOptions {
  readonly databaseUrl: string;
  /** The folder that Prisma calls migrations: one folder per migration, each with a migration.sql. */
  readonly migrationsDir: string;
  readonly logger: Logger;
  /** Further schemas of the same database (the queues' on a single node), migrated under the same lock. */
  readonly afterwards?: (() => Promise<void>) | undefined;
}

interface HistoryRow {
  readonly name: string;
  readonly checksum: string;
  readonly isFinished: boolean;
  readonly logs: string | null;
}

// Any number does that nobody else uses on this database; this one is "synap" read as bytes.
const advisoryLockKey = 0x73_79_6e_61_70;
const lockTimeoutMs = 120_000;

/**
 * Brings the database to this version's schema; any number of processes may do so at once.
 * @returns the names of the migrations that were applied now.
 * @throws SynapError `start_failed` when the database is out of reach or its history is not one this version can go on from.
 */
export async function applyMigrations(options: MigrateOptions): Promise<string[]> {
  const { databaseUrl, migrationsDir, logger, afterwards } = options;
  const migrations = await readMigrations(migrationsDir);
  return withMigrationLock(databaseUrl, async (client) => {
    const history = await readHistory(client);
    checkHistory(migrations, history, logger);
    const known = new Set(history.map((row) => row.name));
    // The engine costs 0.4 s and some memory; a restart, which has nothing to apply, does without it.
    const isCurrent = migrations.every((migration) => known.has(migration.name));
    const applied = isCurrent ? [] : await runEngine(databaseUrl, migrationsDir, migrations);
    for (const migration of applied) logger.info({ migration }, 'applied a migration');
    await afterwards?.();
    return applied;
  });
}

/** Loaded where there is something to apply: a process in production looks, and never migrates. */
async function runEngine(databaseUrl: string, migrationsDir: string, migrations: readonly Migration[]) {
  const { runSchemaEngine } = await import('./schema-engine.js');
  return runSchemaEngine(databaseUrl, migrationsDir, migrations);
}

/**
 * The names of this version's migrations that the database does not have.
 * @throws SynapError `start_failed` when the database is out of reach.
 */
export async function findPendingMigrations(databaseUrl: string, migrationsDir: string): Promise<string[]> {
  const migrations = await readMigrations(migrationsDir);
  const history = await withClient(databaseUrl, readHistory);
  const applied = new Set(history.filter((row) => row.isFinished).map((row) => row.name));
  return migrations.map(({ name }) => name).filter((name) => !applied.has(name));
}

async function readMigrations(migrationsDir: string): Promise<Migration[]> {
  const entries = await readdir(migrationsDir, { withFileTypes: true }).catch((thrown: unknown) => {
    throw new SynapError('start_failed', `no migrations in ${migrationsDir}`, { cause: thrown });
  });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.toSorted().map(async (name) => {
      const script = await readFile(path.join(migrationsDir, name, 'migration.sql'), 'utf8');
      return { name, script };
    }),
  );
}

/** A session's advisory lock: it ends with the connection, so a killed process never leaves it behind. */
function withMigrationLock<T>(databaseUrl: string, fn: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient(databaseUrl, async (client) => {
    await client.query(`SET lock_timeout = ${lockTimeoutMs}`);
    await client.query('SELECT pg_advisory_lock($1)', [advisoryLockKey]).catch((thrown: unknown) => {
      throw new SynapError('start_failed', 'another process has been migrating this database for two minutes', {
        cause: thrown,
      });
    });
    return fn(client);
  });
}

async function withClient<T>(databaseUrl: string, fn: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: 10_000,
    application_name: 'synap-migrate',
  });
  // Without a listener a connection that is lost between two statements would end the process; the next statement reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (thrown) {
    throw unreachable(databaseUrl, thrown);
  }
  try {
    return await fn(client);
  } finally {
    await client.end();
  }
}

function unreachable(databaseUrl: string, thrown: unknown): SynapError {
  const { host, pathname } = new URL(databaseUrl);
  const reason = reasonOf(thrown);
  return new SynapError(
    'start_failed',
    `cannot open the database${pathname} at ${host}: ${reason}`.replace('database/', 'database '),
    {
      cause: thrown,
    },
  );
}

/** Node reports a refused "localhost" as an AggregateError without a message of its own. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return toError(thrown.errors[0]).message;
  return toError(thrown).message;
}

async function readHistory(client: pg.Client): Promise<HistoryRow[]> {
  const found = await client.query<{ table: string | null }>(`SELECT to_regclass('_prisma_migrations')::text AS table`);
  if (found.rows[0]?.table === null) return [];
  const result = await client.query<HistoryRow>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS "isFinished", logs
       FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  );
  return result.rows;
}

/** What the engine would answer with a code, or not notice at all, said in words. */
function checkHistory(migrations: readonly Migration[], history: readonly HistoryRow[], logger: Logger): void {
  const scripts = new Map(migrations.map((migration) => [migration.name, migration.script]));
  for (const row of history) {
    const script = scripts.get(row.name);
    if (!row.isFinished) {
      throw new SynapError(
        'start_failed',
        `migration ${row.name} failed earlier and needs a person: ${summarizeEngineLog(row.logs ?? '')}`,
      );
    }
    // An older version next to a newer database: an ordinary moment of every deploy and roll-back.
    if (script === undefined) {
      logger.warn({ migration: row.name }, 'the database has a migration that this version does not know');
    } else if (createHash('sha256').update(script).digest('hex') !== row.checksum) {
      throw new SynapError('start_failed', `migration ${row.name} was changed after this database applied it`);
    }
  }
}
