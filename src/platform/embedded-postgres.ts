import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server as TcpServer } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { acquireDirectoryLock } from './directory-lock.js';
import { SynapError, toError } from './errors.js';
import type { Logger } from './logger.js';
import { findAccount, findHome, openCluster, superuser, type Cluster } from './postgres-cluster.js';
import { endOrphan, ServerStartError, startServer, type Server } from './postgres-server.js';

export interface EmbeddedPostgresOptions {
  /** Where its data lives, across restarts. */
  readonly directory: string;
  readonly logger: Logger;
  /** postgresql.conf settings; the defaults are durable. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres {
  readonly databaseUrl: string;
  /** Idempotent; resolves when its process is gone. */
  stop(): Promise<void>;
}

const database = 'synap';
const startTries = 5;
const retryDelayMs = 300;

/**
 * A PostgreSQL of one's own out of the npm package's binaries, for a machine that has none: on loopback, with a random
 * password, on a port that stays the same while it is free. One Synap at a time per directory.
 * @throws SynapError `start_failed`
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { directory, logger, settings = {} } = options;
  const account = await findAccount();
  const home = await findHome(directory, account, logger);
  await mkdir(home, { recursive: true });
  const lock = await acquireDirectoryLock(path.join(home, 'lock'));
  try {
    const cluster = await openCluster(home, account, logger);
    await endOrphan(cluster, logger);
    const { server, port } = await startOnFreePort(cluster, settings, logger);
    const stop = async () => {
      await server.stop();
      await lock.release();
    };
    try {
      return { databaseUrl: await ensureDatabase(cluster, port), stop };
    } catch (thrown) {
      await stop();
      throw thrown;
    }
  } catch (thrown) {
    await lock.release();
    throw asStartError(thrown);
  }
}

function asStartError(thrown: unknown): SynapError {
  if (thrown instanceof SynapError) return thrown;
  return new SynapError('start_failed', `the embedded Postgres did not start: ${toError(thrown).message}`, {
    cause: thrown,
  });
}

async function startOnFreePort(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  logger: Logger,
): Promise<{ server: Server; port: number }> {
  for (let tries = 1; ; tries += 1) {
    const port = await choosePort(path.join(cluster.directory, 'port'));
    try {
      return { server: await startServer(cluster, { port, settings, logger }), port };
    } catch (thrown) {
      const isTransient = thrown instanceof ServerStartError && thrown.isTransient;
      if (!isTransient || tries === startTries) throw thrown;
      await delay(retryDelayMs);
    }
  }
}

/** The port of last time, so that other programs find the database again; another one while that is taken. */
async function choosePort(file: string): Promise<number> {
  const last = Number(await readFile(file, 'utf8').catch(() => '0'));
  const port = (await probe(last)) ?? (await probe(0));
  if (port === undefined) throw new SynapError('start_failed', 'no port is free on 127.0.0.1');
  await writeFile(file, String(port));
  return port;
}

async function probe(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return portOf(server);
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}

function portOf(server: TcpServer): number | undefined {
  const address = server.address();
  return typeof address === 'object' ? address?.port : undefined;
}

async function ensureDatabase(cluster: Cluster, port: number): Promise<string> {
  const urlOf = (name: string) => `postgresql://${superuser}:${cluster.password}@127.0.0.1:${port}/${name}`;
  const client = new pg.Client({ connectionString: urlOf('postgres') });
  await client.connect();
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${database}`);
  } finally {
    await client.end();
  }
  return urlOf(database);
}
