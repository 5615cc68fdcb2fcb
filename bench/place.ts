import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { freePort } from '../test/support/ports.ts';
import { RedisServer } from '../test/faults/stack/redis.ts';
import { built, root } from './built.ts';

const { createLogger } = await built('platform/logger');
const { applyMigrations } = await built('platform/migrate');
const { findAccount, openCluster, superuser } = await built('platform/postgres-cluster');
const { startServer } = await built('platform/postgres-server');

const logger = createLogger({ level: 'silent', pretty: false, hasColour: false }, {});

/** As docker-compose.prod.yml has it, on a disk that is asked: no setting that production would not have. */
export const postgresSettings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '200',
  shared_buffers: '256MB',
};

/** Loaded and silent: a measure that wants to know what its statements take turns it on for its own database. */
const statistics = { shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track': 'none' };

/** What it writes to disk, as there too. */
export const redisSettings = { appendonly: 'yes', appendfsync: 'everysec' };

/**
 * The Postgres and the Redis of a run. Every contender gets a database of its own in it, and Redis emptied. Databases stay until the run
 * ends: a disk that is told of every block that is free (`discard`) makes the commits of the next contender wait while one is dropped.
 */
export class Place {
  readonly directory: string;
  readonly redis: RedisServer;
  readonly #urlOf: (database: string) => string;
  readonly #admin: pg.Client;
  readonly #end: () => Promise<void>;
  readonly postgresPid: number;
  #databases = 0;
  readonly #unvacuumed = new Set<string>();

  private constructor(parts: {
    readonly directory: string;
    readonly redis: RedisServer;
    readonly urlOf: (database: string) => string;
    readonly admin: pg.Client;
    readonly postgresPid: number;
    readonly end: () => Promise<void>;
  }) {
    this.directory = parts.directory;
    this.redis = parts.redis;
    this.#urlOf = parts.urlOf;
    this.#admin = parts.admin;
    this.postgresPid = parts.postgresPid;
    this.#end = parts.end;
  }

  static async open(): Promise<Place> {
    const directory = await mkdtemp(path.join(tmpdir(), 'synap-bench-'));
    await chmod(directory, 0o711);
    const postgresDirectory = path.join(directory, 'postgres');
    await mkdir(postgresDirectory);
    await chmod(postgresDirectory, 0o711);
    const cluster = await openCluster(postgresDirectory, await findAccount(), logger);
    const port = await freePort();
    const server = await startServer(cluster, { port, settings: { ...postgresSettings, ...statistics }, logger });
    const postgresPid = Number.parseInt(await readFile(path.join(cluster.dataDir, 'postmaster.pid'), 'utf8'), 10);
    const urlOf = (database: string): string =>
      `postgresql://${superuser}:${cluster.password}@127.0.0.1:${port}/${database}`;
    const admin = new pg.Client({ connectionString: urlOf('postgres') });
    await admin.connect();
    const redis = await RedisServer.create(path.join(directory, 'redis'), redisSettings);
    await redis.start();
    const end = async (): Promise<void> => {
      await redis.kill();
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    };
    return new Place({ directory, redis, urlOf, admin, end, postgresPid });
  }

  get redisUrl(): string {
    return `redis://127.0.0.1:${this.redis.port}`;
  }

  /** A new database; with Synap's tables where `isMigrated`. */
  async database({ isMigrated }: { readonly isMigrated: boolean }): Promise<string> {
    this.#databases += 1;
    const name = `bench_${this.#databases}`;
    await this.#admin.query(`CREATE DATABASE ${name}`);
    this.#unvacuumed.add(name);
    const databaseUrl = this.#urlOf(name);
    if (isMigrated) await applyMigrations({ databaseUrl, migrationsDir: path.join(root, 'prisma/migrations'), logger });
    return databaseUrl;
  }

  /**
   * Both as after a fresh start: what one contender left to be written and to be vacuumed must not be paid for by the next.
   *
   * @param sparing the database of the next, where there is one already: its tables stay as they were made.
   */
  async settle({ sparing }: { readonly sparing?: string } = {}): Promise<void> {
    await this.redis.client.flushall();
    for (const database of this.#unvacuumed) {
      if (this.#urlOf(database) === sparing) continue;
      await this.#run(this.#urlOf(database), 'VACUUM (ANALYZE)');
      this.#unvacuumed.delete(database);
    }
    await this.checkpoint();
  }

  /** As autovacuum does it sooner or later: a backlog that was just stored is planned for as what it is. */
  async analyze(databaseUrl: string): Promise<void> {
    await this.#run(databaseUrl, 'ANALYZE');
  }

  async #run(databaseUrl: string, statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    await client.query(statement);
    await client.end();
  }

  /** What was written so far is not paid for by what is measured next. */
  async checkpoint(): Promise<void> {
    await this.#admin.query('CHECKPOINT');
  }

  async close(): Promise<void> {
    await this.#admin.end();
    await this.#end();
  }
}
