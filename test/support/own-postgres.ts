import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { startEmbeddedPostgres } from '../../src/platform/embedded-postgres.js';
import { applyMigrations } from '../../src/platform/migrate.js';

export interface OwnPostgres {
  readonly databaseUrl: string;
  /** Ends the server; `start` brings it back with its data, where it was. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** As the superuser, on a connection of its own. */
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  remove(): Promise<void>;
}

/** A migrated Postgres for this test file alone, to stop, lock and starve. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const logger = pino({ level: 'silent' });
  const root = await mkdtemp(path.join(tmpdir(), 'synap-own-postgres-'));
  await chmod(root, 0o711);
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '40' };
  const launch = () => startEmbeddedPostgres({ directory: path.join(root, 'postgres'), logger, settings });
  let server = await launch();
  const { databaseUrl } = server;
  await applyMigrations({ databaseUrl, migrationsDir: path.resolve('prisma/migrations'), logger });
  return {
    databaseUrl,
    stop: () => server.stop(),
    async start() {
      server = await launch();
    },
    async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) {
      const client = new pg.Client({ connectionString: databaseUrl });
      await client.connect();
      try {
        return (await client.query<Row>(text, values)).rows;
      } finally {
        await client.end();
      }
    },
    async remove() {
      await server.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}
