import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import type { Express } from 'express';
import { pino, type Logger } from 'pino';
import { EventAcceptor } from '../../src/events/acceptor.js';
import { EventCatalogue } from '../../src/events/catalogue.js';
import { createEventQueries } from '../../src/events/event-queries.js';
import { schedulesOf } from '../../src/events/schedule.js';
import { EventStore } from '../../src/events/store.js';
import { JobAdministration } from '../../src/execution/administration.js';
import { BulkOperations } from '../../src/execution/bulk-operations.js';
import { Corrections } from '../../src/execution/corrections.js';
import { createDeadLetterQueries } from '../../src/execution/dead-letter-queries.js';
import { QueueAdministration } from '../../src/execution/queue-administration.js';
import { RequestCancellation } from '../../src/execution/cancellation.js';
import { createRequestQueries } from '../../src/execution/request-queries.js';
import { createStorage } from '../../src/features/files/create-storage.js';
import { createUploads } from '../../src/features/files/uploads.js';
import { features } from '../../src/features/index.js';
import { createApp } from '../../src/http/app.js';
import type { AppDeps } from '../../src/http/deps.js';
import { systemClock } from '../../src/platform/clock.js';
import { readConfig, type Config } from '../../src/platform/config.js';
import { currentContext } from '../../src/platform/context.js';
import { createDatabase, type Database } from '../../src/platform/database.js';
import { Health } from '../../src/platform/health.js';
import { Lifecycle } from '../../src/platform/lifecycle.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { createTokens, type Tokens } from '../../src/platform/tokens.js';
import { Broadcasts } from '../../src/realtime/publishing/broadcasts.js';
import { NotificationQueries } from '../../src/realtime/log/notification-queries.js';
import { NotificationLog } from '../../src/realtime/log/postgres-log.js';
import { LocalPresence } from '../../src/realtime/presence.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { Collected } from './signals.js';
import { testApiKey, testJwtSecret } from './synap.js';

export type LogLine = Readonly<Record<string, unknown>> & { readonly level: number; readonly msg: string };

export interface ApiOptions {
  /** Variables beside the test's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** A database that cannot be reached, say. Its owner drops it. */
  readonly databaseUrl?: string;
  readonly deps?: Partial<AppDeps>;
}

export interface TestApi {
  readonly url: string;
  readonly deps: AppDeps;
  readonly logs: Collected<LogLine>;
  /** A call with a path; `user` signs in, `json` is the body. */
  call(path: string, options?: CallOptions): Promise<Response>;
  close(): Promise<void>;
}

export interface CallOptions extends RequestInit {
  readonly user?: string;
  readonly json?: unknown;
}

/** The real HTTP application in this process, on the real event store and projections; nothing runs the jobs. */
export async function startApi(options: ApiOptions = {}): Promise<TestApi> {
  const own = options.databaseUrl === undefined ? await createTestDatabase() : undefined;
  const directory = await mkdtemp(path.join(tmpdir(), 'synap-api-'));
  const config = configOf(directory, own?.url ?? options.databaseUrl ?? '', options.env ?? {});
  const logs = new Collected<LogLine>();
  const logger = collectingLogger(logs);
  const database = createDatabase(config.database.url ?? '', config.database, logger);
  const deps = { ...realDeps(config, database, logger), ...options.deps };
  const server = await listen(createApp(deps));
  const url = urlOf(server);
  return {
    url,
    deps,
    logs,
    call: (to, call) => callApi(url, deps.tokens, to, call ?? {}),
    close: () => closeAll(server, database, own, directory),
  };
}

function configOf(directory: string, databaseUrl: string, env: Readonly<Record<string, string>>): Config {
  return readConfig({
    NODE_ENV: 'test',
    DATABASE_URL: databaseUrl,
    JWT_SECRET: testJwtSecret,
    API_KEY: testApiKey,
    RATE_LIMIT_MAX: '10000',
    DB_POOL_MIN: '0',
    // What a busy machine takes long for is no line of these tests.
    SLOW_QUERY_MS: '0',
    SYNAP_DIR: directory,
    ...env,
  });
}

function realDeps(config: Config, database: Database, logger: Logger): AppDeps {
  const clock = systemClock;
  const metrics = createMetrics(config.metrics.prefix);
  const catalogue = new EventCatalogue(
    features.flatMap(({ events }) => events),
    features.flatMap(({ handlers }) => handlers),
  );
  const store = new EventStore({ pool: database.pool, onRunnable: () => undefined });
  const requests = createRequestQueries(database);
  return {
    config,
    logger,
    metrics,
    health: new Health(),
    lifecycle: new Lifecycle(clock, logger),
    clock,
    version: '0.0.0-test',
    database,
    tokens: createTokens({ ...config.auth.tokens, secret: testJwtSecret }),
    catalogue,
    acceptor: new EventAcceptor({ catalogue, store, clock, metrics }),
    events: createEventQueries(database),
    requests,
    cancellation: new RequestCancellation({
      database,
      requests,
      publisher: { publish: () => undefined, ephemeral: () => undefined },
      onLanesEnded: () => undefined,
    }),
    uploads: createUploads({ storage: createStorage(config.storage, metrics), sql: database.sql }),
    broadcasts: new Broadcasts({
      log: new NotificationLog(database),
      publisher: { publish: () => undefined },
      presence: new LocalPresence(),
    }),
    reads: features.flatMap(({ reads }) => reads),
    schedules: schedulesOf(features, catalogue),
    notifications: new NotificationQueries(database),
    presence: new LocalPresence(),
    admin: adminDeps(database, catalogue, logger),
  };
}

/** Its queues have no store. */
function adminDeps(database: Database, catalogue: EventCatalogue, logger: Logger): AppDeps['admin'] {
  const backend = {
    queue: () => {
      throw new Error('no queue here');
    },
  };
  const publisher = { publish: () => undefined, ephemeral: () => undefined };
  return {
    administration: new JobAdministration({ database, publisher, onRunnable: () => undefined }),
    deadLetters: createDeadLetterQueries(database),
    corrections: new Corrections({ database, catalogue }),
    bulk: new BulkOperations(database),
    queues: new QueueAdministration({ database, backend, queues: catalogue.queues, clock: systemClock, logger }),
  };
}

function collectingLogger(logs: Collected<LogLine>): Logger {
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logs.add(JSON.parse(chunk.toString()) as LogLine);
      done();
    },
  });
  return pino({ level: 'debug', mixin: () => currentContext() ?? {} }, stream);
}

export async function listen(app: Express): Promise<Server> {
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export function urlOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port');
  return `http://127.0.0.1:${address.port}`;
}

async function callApi(
  url: string,
  tokens: Tokens,
  to: string,
  { user, json, ...init }: CallOptions,
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (user !== undefined) headers.set('Authorization', `Bearer ${await tokens.mint(user, { expiresInSeconds: 60 })}`);
  if (json === undefined) return fetch(`${url}${to}`, { ...init, headers });
  headers.set('Content-Type', 'application/json');
  return fetch(`${url}${to}`, { method: 'POST', ...init, headers, body: JSON.stringify(json) });
}

async function closeAll(
  server: Server,
  database: Database,
  own: TestDatabase | undefined,
  directory: string,
): Promise<void> {
  server.closeAllConnections();
  server.close();
  await database.close();
  await own?.drop();
  await rm(directory, { recursive: true, force: true });
}
