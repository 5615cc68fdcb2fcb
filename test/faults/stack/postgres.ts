import { chmod, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import type { Cluster } from '../../../src/platform/postgres-cluster.js';
import type { Server } from '../../../src/platform/postgres-server.js';
import { freePort } from '../../support/ports.ts';
import { eventually } from '../../support/signals.ts';
import { effectsTable } from '../app/feature.ts';
import { built, builtDirectory } from '../app/kit.ts';

const { createLogger } = await built('platform/logger');
const { applyMigrations } = await built('platform/migrate');
const { findAccount, openCluster, superuser } = await built('platform/postgres-cluster');
const { startServer } = await built('platform/postgres-server');

const logger = createLogger({ level: 'silent', pretty: false, hasColour: false }, {});

/** As it stands in the documents: what is answered is on disk. */
const settings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '150',
  shared_buffers: '64MB',
  // So that the checker can tell which of two commits came first.
  track_commit_timestamp: 'on',
};

/** A Postgres of the suite's own, fsync on, which keeps its port and its data over crashes. */
export class PostgresServer {
  readonly directory: string;
  readonly port: number;
  readonly #cluster: Cluster;
  readonly #settings: Readonly<Record<string, string>>;
  #server: Server | undefined;
  #pool: pg.Pool | undefined;

  private constructor(directory: string, cluster: Cluster, port: number, more: Readonly<Record<string, string>>) {
    this.directory = directory;
    this.#cluster = cluster;
    this.port = port;
    this.#settings = { ...settings, ...more };
  }

  static async create(directory: string, more: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o711);
    const cluster = await openCluster(directory, await findAccount(), logger);
    return new PostgresServer(directory, cluster, await freePort(), more);
  }

  /** Recovers from its log where it crashed. */
  async start(): Promise<void> {
    const { port } = this;
    this.#server = await startServer(this.#cluster, { port, settings: this.#settings, logger });
  }

  async prepare(): Promise<void> {
    const admin = new pg.Client({ connectionString: this.urlAt(this.port, 'postgres') });
    await admin.connect();
    await admin.query('CREATE DATABASE faults');
    await admin.end();
    const databaseUrl = this.urlAt(this.port);
    await applyMigrations({ databaseUrl, migrationsDir: path.join(builtDirectory, '../prisma/migrations'), logger });
    await this.pool.query(effectsTable);
  }

  /** For the suite's own questions, past the proxy. */
  get pool(): pg.Pool {
    if (this.#pool === undefined) {
      this.#pool = new pg.Pool({
        connectionString: this.urlAt(this.port),
        max: 4,
        application_name: 'fault-suite',
        connectionTimeoutMillis: 2_000,
      });
      this.#pool.on('error', () => undefined);
    }
    return this.#pool;
  }

  urlAt(port: number, database = 'faults'): string {
    return `postgresql://${superuser}:${this.#cluster.password}@127.0.0.1:${port}/${database}`;
  }

  /** As a deploy of the database does it: connections are ended, what is committed is written. */
  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }

  /** As a power cut does it: no checkpoint; the next start replays the log. */
  async crash(): Promise<void> {
    const pid = await this.#pid();
    if (pid !== undefined) process.kill(pid, 'SIGQUIT');
    await this.stop();
  }

  /** Whether the server is there and answers. */
  async isUp(): Promise<boolean> {
    return this.pool.query('SELECT 1').then(
      () => true,
      () => false,
    );
  }

  async untilUp(): Promise<void> {
    await eventually(async () => ((await this.isUp()) ? true : undefined), 'Postgres to answer', 20_000);
  }

  async close(): Promise<void> {
    await this.#pool?.end();
    this.#pool = undefined;
    await this.stop();
  }

  async #pid(): Promise<number | undefined> {
    const content = await readFile(path.join(this.#cluster.dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
    const pid = Number.parseInt(content, 10);
    return Number.isInteger(pid) ? pid : undefined;
  }
}
