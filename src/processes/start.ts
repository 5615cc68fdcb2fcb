import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../platform/clock.js';
import type { Feature } from '../features/feature.js';
import type { Config } from '../platform/config.js';
import { acquireDeploymentLock } from '../platform/deployment-lock.js';
import { SynapError, toError } from '../platform/errors.js';
import type { Lifecycle } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { applyMigrations, findPendingMigrations } from '../platform/migrate.js';
import { checkRedis } from '../platform/redis.js';
import { version } from '../platform/version.js';
import { checkQueueSchema, migrateQueues } from '../queues/postgres-store.js';
import { greet } from './banner.js';
import { provision, type Provisions } from './development.js';
import { startInternalServer, startProbes } from './internal.js';
import { createNode, type SynapNode } from './node.js';
import { listen } from './server.js';

const migrationsDir = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../prisma/migrations');

/** The process from its port to its roles; `lifecycle` has all that was started, also where this throws. */
export async function start(
  given: Config,
  features: readonly Feature[],
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<void> {
  const http = await listen(given.http.port, given.http.host);
  lifecycle.onStop('http', () => http.close());
  const loading = loadRoles(given.roles);
  // Told where it is awaited: what keeps the database from starting comes first.
  loading.catch(() => undefined);
  const provisions = await provision(given, http.port, lifecycle, logger);
  const { config } = provisions;

  await prepareDatabase(provisions, lifecycle, logger);
  const node = createNode({ ...provisions, features, logger, lifecycle, http });
  await startInternalServer(node);
  await startRoles(node, await loading);

  if (lifecycle.draining) return;
  logger.info({ port: http.port, queues: node.backend.mode, version }, 'Synap is ready');
  if (!config.isProduction && config.log.pretty) await greet(node, given);
}

/** Alone on the database or not at all; in production a job of its own migrates, before any process starts. */
async function prepareDatabase(
  { config, databaseUrl }: Provisions,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<void> {
  const onLost = (error: SynapError): void => {
    logger.fatal({ err: error }, error.message);
    process.exitCode = 1;
    void lifecycle.stop(config.shutdownTimeoutMs).then(() => process.exit(1));
  };
  const kind = config.redis.url === undefined ? 'alone' : 'shared';
  const lock = await acquireDeploymentLock({ databaseUrl, kind, clock: systemClock, logger, onLost });
  lifecycle.onStop('deployment lock', () => lock.release());
  if (config.isProduction) return checkMigrated(databaseUrl, config.redis.url === undefined);
  // In production Redis may come back later: the api accepts without it. A developer rather hears of a wrong URL.
  if (config.redis.url !== undefined) await checkRedis(config.redis.url);
  await applyMigrations({ databaseUrl, migrationsDir, logger, afterwards: () => migrateQueues(databaseUrl) });
}

/** @throws SynapError `start_failed`: a process beside a database of another version would fail at each call instead of once. */
async function checkMigrated(databaseUrl: string, usesPostgresQueues: boolean): Promise<void> {
  const pending = await findPendingMigrations(databaseUrl, migrationsDir);
  if (pending.length > 0) throw notMigrated(`it lacks ${pending.join(', ')}`);
  if (!usesPostgresQueues) return;
  await checkQueueSchema(databaseUrl).catch((thrown: unknown) => {
    throw notMigrated(`the queues' tables are not there: ${toError(thrown).message}`);
  });
}

function notMigrated(why: string): SynapError {
  return new SynapError(
    'start_failed',
    `the database is not at this version's schema (${why}); run "synap migrate" first`,
  );
}

/** Only what this process runs: a worker has no use for Express' routes and Socket.IO, and they would double its memory. */
async function loadRoles(roles: Config['roles']) {
  const has = new Set(roles);
  const [api, realtime, dispatcher, worker] = await Promise.all([
    has.has('api') ? import('./api.js') : undefined,
    has.has('realtime') ? import('./realtime.js') : undefined,
    has.has('dispatcher') ? import('./dispatcher.js') : undefined,
    has.has('worker') ? import('./worker.js') : undefined,
  ]);
  return { api, realtime, dispatcher, worker };
}

/** What sends comes last: a worker that finds its first job needs sockets and dispatch to be there. */
async function startRoles(node: SynapNode, roles: Awaited<ReturnType<typeof loadRoles>>): Promise<void> {
  const { api, realtime, dispatcher, worker } = roles;
  if (api === undefined) startProbes(node);
  else api.startApi(node);
  realtime?.startRealtime(node);
  dispatcher?.startDispatcher(node);
  await worker?.startWorker(node);
  if (api !== undefined || realtime !== undefined) keepServingAtFirst(node);
}

/** Registered last, so first when it stops: readiness fails already, and whoever has not noticed yet is still served. */
function keepServingAtFirst({ config, clock, lifecycle }: SynapNode): void {
  if (config.shutdownDelayMs === 0) return;
  lifecycle.onStop('delay', () => new Promise<void>((resolve) => void clock.after(config.shutdownDelayMs, resolve)));
}
