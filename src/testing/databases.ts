import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { readTestDatabaseUrl } from '../platform/config.js';
import { startEmbeddedPostgres } from '../platform/embedded-postgres.js';
import type { Logger } from '../platform/logger.js';
import { applyMigrations } from '../platform/migrate.js';
import { prepareTemplate } from './template-database.js';

const migrationsDir = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../prisma/migrations');

/** Nothing here outlives its test, so nothing need reach the disk. */
const volatile = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' };

export interface DatabaseServer {
  /** A fresh database like `original` (a URL), or like the migrated, empty template; its URL. */
  clone(original?: string): Promise<string>;
  /** Ends every other connection to the database. */
  disconnect(url: string): Promise<void>;
  drop(url: string): Promise<void>;
  stop(): Promise<void>;
}

/** @param databaseUrl a server where databases may be made; else TEST_DATABASE_URL, else a Postgres of its own is started. */
export async function openDatabaseServer(databaseUrl: string | undefined, logger: Logger): Promise<DatabaseServer> {
  const given = databaseUrl ?? readTestDatabaseUrl(process.env);
  const { url, stop } = given === undefined ? await startOwn(logger) : { url: given, stop: () => Promise.resolve() };
  try {
    const template = await prepareTemplate({
      databaseUrl: url,
      migrationsDir,
      migrate: (its) => applyMigrations({ databaseUrl: its, migrationsDir, logger }),
    });
    return { ...serverAt(url, template), stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

function serverAt(adminUrl: string, template: string): Omit<DatabaseServer, 'stop'> {
  const disconnect = (url: string) =>
    query(adminUrl, 'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [nameOf(url)]);
  return {
    disconnect,
    async clone(original) {
      const name = `synap_kit_${randomBytes(6).toString('hex')}`;
      for (let tries = 1; ; tries++) {
        if (original !== undefined) await disconnect(original);
        try {
          await query(
            adminUrl,
            `CREATE DATABASE ${name} TEMPLATE ${original === undefined ? template : nameOf(original)}`,
          );
          return urlOf(adminUrl, name);
        } catch (thrown) {
          // Somebody connected in between.
          if (!isInUse(thrown) || tries === 10) throw thrown;
        }
      }
    },
    drop: (url) => query(adminUrl, `DROP DATABASE IF EXISTS ${nameOf(url)} WITH (FORCE)`),
  };
}

async function startOwn(logger: Logger): Promise<{ url: string; stop: () => Promise<void> }> {
  const home = await mkdtemp(path.join(tmpdir(), 'synap-testing-'));
  // The database's own account must be able to pass through.
  await chmod(home, 0o711);
  const remove = () => rm(home, { recursive: true, force: true });
  try {
    const postgres = await startEmbeddedPostgres({
      directory: path.join(home, 'postgres'),
      logger,
      settings: volatile,
    });
    return {
      url: postgres.databaseUrl,
      async stop() {
        await postgres.stop();
        await remove();
      },
    };
  } catch (thrown) {
    await remove();
    throw thrown;
  }
}

const nameOf = (url: string): string => new URL(url).pathname.slice(1);

function urlOf(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

const isInUse = (thrown: unknown): boolean => thrown instanceof Error && 'code' in thrown && thrown.code === '55006';

async function query(url: string, text: string, values: unknown[] = []): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'synap-kit-admin' });
  await client.connect();
  try {
    await client.query(text, values);
  } finally {
    await client.end();
  }
}
