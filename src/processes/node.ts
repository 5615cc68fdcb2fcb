import { FastPath } from '../dispatch/fast-path.js';
import { Lanes } from '../dispatch/lanes.js';
import { Outbox } from '../dispatch/outbox.js';
import { QueueWindow } from '../dispatch/queue-window.js';
import { EventCatalogue } from '../events/catalogue.js';
import { schedulesOf } from '../events/schedule.js';
import { Handlers } from '../execution/handlers.js';
import type { Feature } from '../features/feature.js';
import { poolGauge } from '../operations/gauges.js';
import { systemClock, type Clock } from '../platform/clock.js';
import type { Config } from '../platform/config.js';
import { createDatabase, type Database } from '../platform/database.js';
import { Health, type CheckStatus } from '../platform/health.js';
import type { Lifecycle } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { createMetrics, type Metrics } from '../platform/metrics.js';
import { connectRedis } from '../platform/redis.js';
import { createTokens } from '../platform/tokens.js';
import type { QueueBackend } from '../queues/backend.js';
import { BullMqBackend } from '../queues/bullmq-backend.js';
import { createPostgresStore } from '../queues/postgres-store.js';
import { createRedisStore } from '../queues/redis-store.js';
import { createLocalBackplane } from '../realtime/backplane.js';
import { OrderedPublisher } from '../realtime/publishing/ordered-publisher.js';
import { NotificationLog } from '../realtime/log/postgres-log.js';
import { createRedisBackplane } from '../realtime/redis/backplane.js';
import type { ListeningServer } from './server.js';

export interface NodeOptions {
  readonly config: Config;
  readonly databaseUrl: string;
  /** Undefined where a key server alone vouches for users. */
  readonly jwtSecret: string | undefined;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly http: ListeningServer;
  readonly features: readonly Feature[];
}

export type SynapNode = ReturnType<typeof createNode>;

/** What every process has, whatever its roles. The roles take what they need from here; nothing in here is started. */
export function createNode(options: NodeOptions) {
  const { config, databaseUrl, jwtSecret, logger, lifecycle, features } = options;
  const clock = systemClock;
  const metrics = createMetrics(config.metrics.prefix, config.metrics.defaultLabels);
  const catalogue = new EventCatalogue(
    features.flatMap(({ events }) => events),
    features.flatMap(({ handlers }) => handlers),
  );

  const database = createDatabase(databaseUrl, config.database, logger);
  lifecycle.onStop('database', () => database.close());

  const { backend, backplane, redis } = connectTransports(options, catalogue.queues, metrics);
  lifecycle.onStop('queues', () => backend.close());
  lifecycle.onStop('backplane', () => backplane.close());

  const log = new NotificationLog(database);
  const publisher = new OrderedPublisher({ log, fanout: backplane.fanout, metrics, logger, clock });
  lifecycle.onStop('publisher', () => publisher.drain());

  const dispatch = createDispatch({ config, database, backend, catalogue, clock, logger, metrics });
  lifecycle.onStop('fast path', () => dispatch.fastPath.drain());
  lifecycle.onStop('lanes', () => dispatch.lanes.drain());

  const health = new Health();
  health.add({
    name: 'postgres',
    run: () => database.ping().then(() => 'ok' as const),
  });

  const gauge = poolGauge(database, metrics, clock, logger);
  gauge.start();
  lifecycle.onStop('pool gauge', () => gauge.stop());

  return {
    ...options,
    clock,
    metrics,
    catalogue,
    database,
    backend,
    backplane,
    redis,
    log,
    publisher,
    ...dispatch,
    health,
    tokens: createTokens({ ...config.auth.tokens, secret: jwtSecret }),
    handlers: new Handlers(features.flatMap(({ handlers }) => handlers)),
    reads: features.flatMap(({ reads }) => reads),
    schedules: schedulesOf(features, catalogue),
  };
}

/**
 * What a process counts as that cannot reach its queues: where clients are served, they are served without, from Postgres, and it would
 * be wrong to send them away; elsewhere it can do nothing.
 */
export const withoutQueues = ({ roles }: Pick<Config, 'roles'>): CheckStatus =>
  roles.includes('api') || roles.includes('realtime') ? 'degraded' : 'failed';

interface DispatchParts {
  readonly config: Config;
  readonly database: Database;
  readonly backend: QueueBackend;
  readonly catalogue: EventCatalogue;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The way from a commit to a queue. */
function createDispatch(parts: DispatchParts) {
  const { config, database, catalogue } = parts;
  const { pool } = database;
  const outbox = new Outbox(pool);
  const window = new QueueWindow({ ...parts, outbox, queues: catalogue.queues, size: config.queues.window });
  const fastPath = new FastPath({ ...parts, outbox, window });
  const lanes = new Lanes({ ...parts, pool, skipping: catalogue.skipping, onRunnable: fastPath.offer });
  return { outbox, window, fastPath, lanes };
}

/** The one place that chooses between many processes on Redis and a single node on Postgres alone. */
function connectTransports(
  { config, databaseUrl, logger, lifecycle }: NodeOptions,
  queues: readonly string[],
  metrics: Metrics,
) {
  const { url, prefix } = { url: config.redis.url, prefix: config.queues.prefix };
  if (url === undefined) {
    const store = createPostgresStore(databaseUrl, queues.length, logger);
    return {
      backend: new BullMqBackend(store, systemClock, logger),
      backplane: createLocalBackplane({ clock: systemClock, metrics }),
      redis: undefined,
    };
  }
  const redis = connectRedis(url, 'api', logger, { enableOfflineQueue: false, maxRetriesPerRequest: 1 });
  lifecycle.onStop('redis', () => redis.disconnect());
  return {
    backend: new BullMqBackend(createRedisStore(url, prefix, logger), systemClock, logger),
    backplane: createRedisBackplane({
      connect: (purpose, options) => connectRedis(url, purpose, logger, options),
      prefix,
      metrics,
      logger,
      clock: systemClock,
    }),
    redis,
  };
}
