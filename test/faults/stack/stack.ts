import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../../support/ports.ts';
import { nextEvent } from '../../support/signals.ts';
import { built } from '../app/kit.ts';
import { endChild, startChild } from './child.ts';
import { PostgresServer } from './postgres.ts';
import { Proxy } from './proxy.ts';
import { RedisServer } from './redis.ts';
import { Role, type RoleName } from './role.ts';

const { createTokens } = await built('platform/tokens');

const jwtSecret = 'a secret that only the fault suite knows: 0123456789';
const apiKey = 'an api key that only the fault suite knows: 0123456789';

export interface StackOptions {
  /** For data and logs; the server of Postgres must be able to pass through. */
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Where Postgres keeps its data, if not below `directory`. */
  readonly postgresDirectory?: string;
  readonly postgresSettings?: Readonly<Record<string, string>>;
  /** The processes, if not the usual ones. */
  readonly processes?: readonly RoleName[];
  /** Where a role finds Redis, if not at the proxy (`usual`) that all share. */
  readonly redisPortOf?: (role: RoleName, usual: number) => number | Promise<number>;
}

const usualProcesses: readonly RoleName[] = ['api', 'api', 'dispatcher', 'worker', 'worker', 'realtime'];
/** Small, so that a few hundred jobs are a backlog. */
export const queueWindow = 200;

/** A whole Synap as it is deployed: processes for each role, Postgres and Redis behind proxies, and an outside world. */
export class Stack {
  readonly directory: string;
  readonly postgres: PostgresServer;
  readonly postgresProxy: Proxy;
  readonly redisProxy: Proxy;
  /** Where Synap's Redis is; a failover makes it another one. */
  redis: RedisServer;
  readonly roles: readonly Role[];
  readonly sinkLog: string;
  readonly #cleanUp: (() => Promise<void>)[];

  private constructor(
    parts: Pick<Stack, 'directory' | 'postgres' | 'postgresProxy' | 'redisProxy' | 'redis' | 'roles' | 'sinkLog'>,
    cleanUp: (() => Promise<void>)[],
  ) {
    this.directory = parts.directory;
    this.postgres = parts.postgres;
    this.postgresProxy = parts.postgresProxy;
    this.redisProxy = parts.redisProxy;
    this.redis = parts.redis;
    this.roles = parts.roles;
    this.sinkLog = parts.sinkLog;
    this.#cleanUp = cleanUp;
  }

  static async start(options: StackOptions): Promise<Stack> {
    const { directory } = options;
    const cleanUp: (() => Promise<void>)[] = [];
    const later = <T>(part: T, end: () => Promise<void>): T => {
      cleanUp.unshift(end);
      return part;
    };
    try {
      await mkdir(path.join(directory, 'logs'), { recursive: true });
      const postgres = await PostgresServer.create(
        options.postgresDirectory ?? path.join(directory, 'postgres'),
        options.postgresSettings,
      );
      later(postgres, () => postgres.close());
      await postgres.start();
      await postgres.prepare();
      const redis = await RedisServer.create(path.join(directory, 'redis'));
      await redis.start();
      const postgresProxy = await Proxy.listen(postgres.port);
      later(postgresProxy, () => postgresProxy.close());
      const redisProxy = await Proxy.listen(redis.port);
      later(redisProxy, () => redisProxy.close());
      const sinkLog = path.join(directory, 'sink.jsonl');
      const sinkUrl = await startSink(sinkLog, cleanUp);
      const env = environment(options, { databaseUrl: postgres.urlAt(postgresProxy.port), sinkUrl });
      const roles = await makeRoles(options, env, redisProxy.port);
      const stack = new Stack({ directory, postgres, postgresProxy, redisProxy, redis, roles, sinkLog }, cleanUp);
      later(stack, () => stack.redis.kill());
      later(roles, () => Promise.all(roles.map((role) => role.end())).then(() => undefined));
      await Promise.all(roles.map((role) => role.start()));
      return stack;
    } catch (thrown) {
      for (const end of cleanUp) await end().catch(() => undefined);
      throw thrown;
    }
  }

  of(role: RoleName): Role[] {
    return this.roles.filter((candidate) => candidate.role === role);
  }

  /** The nth process of a role, counted from 0. */
  one(role: RoleName, nth = 0): Role {
    const found = this.of(role)[nth];
    if (found === undefined) throw new Error(`there is no ${role} ${nth}`);
    return found;
  }

  mint(userId: string): Promise<string> {
    return createTokens(jwtSecret).mint(userId, { expiresInSeconds: 3_600 });
  }

  /** What an operator sends along. */
  get operatorHeaders(): Readonly<Record<string, string>> {
    return { 'X-API-Key': apiKey };
  }

  /** All that a fault may have left is taken back; resolves when every process is ready. */
  async heal(): Promise<void> {
    this.postgresProxy.slow(0);
    this.postgresProxy.let('pass');
    this.redisProxy.slow(0);
    this.redisProxy.let('pass');
    if (!(await this.postgres.isUp())) {
      await this.postgres.stop();
      await this.postgres.start();
    }
    if (!this.redis.isRunning) await this.redis.start();
    this.redis.thaw();
    for (const role of this.roles) role.thaw();
    await Promise.all(this.roles.map((role) => role.start()));
  }

  async stop(): Promise<void> {
    for (const end of this.#cleanUp) await end();
  }
}

interface Places {
  readonly databaseUrl: string;
  readonly sinkUrl: string;
}

function environment({ directory, env = {} }: StackOptions, { databaseUrl, sinkUrl }: Places): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    ...(process.env['FAULTS_DIST'] !== undefined && { FAULTS_DIST: process.env['FAULTS_DIST'] }),
    NODE_ENV: 'test',
    SYNAP_DIR: path.join(directory, 'synap'),
    PINO_PRETTY: 'false',
    LOG_LEVEL: 'info',
    DATABASE_URL: databaseUrl,
    DB_POOL_MIN: '0',
    DB_POOL_MAX: '10',
    DB_QUERY_TIMEOUT_MS: '3000',
    JWT_SECRET: jwtSecret,
    API_KEY: apiKey,
    RATE_LIMIT_MAX: '1000000000',
    QUEUE_WINDOW: String(queueWindow),
    WATCHDOG_TIMEOUT_MS: '4000',
    ISOLATED_MEMORY_MB: '256',
    SHUTDOWN_TIMEOUT_MS: '15000',
    FAULTS_SINK_URL: sinkUrl,
    ...env,
  };
}

async function makeRoles(
  { directory, processes = usualProcesses, redisPortOf }: StackOptions,
  env: Record<string, string>,
  redisPort: number,
): Promise<Role[]> {
  const counts = new Map<RoleName, number>();
  return Promise.all(
    processes.map(async (role) => {
      const nth = (counts.get(role) ?? 0) + 1;
      counts.set(role, nth);
      const [port, metricsPort] = await Promise.all([freePort(), freePort()]);
      const redisUrl = `redis://127.0.0.1:${(await redisPortOf?.(role, redisPort)) ?? redisPort}`;
      return new Role({
        name: `${role}-${nth}`,
        role,
        port,
        env: {
          ...env,
          REDIS_URL: redisUrl,
          SYNAP_ROLES: role,
          PORT: String(port),
          METRICS_PORT: String(metricsPort),
        },
        metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
        logDirectory: path.join(directory, 'logs'),
      });
    }),
  );
}

async function startSink(log: string, cleanUp: (() => Promise<void>)[]): Promise<string> {
  const child = await startChild(process.execPath, [path.join(import.meta.dirname, '../sink/main.ts'), log], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  cleanUp.unshift(() => endChild(child, 'SIGTERM'));
  if (child.stdout === null) throw new Error('the sink has no output');
  const port = await nextEvent<string>(createInterface({ input: child.stdout }), 'line');
  return `http://127.0.0.1:${port}/`;
}
