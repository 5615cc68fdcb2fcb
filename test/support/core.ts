import { pino } from 'pino';
import { EventAcceptor } from '../../src/events/acceptor.js';
import { EventCatalogue } from '../../src/events/catalogue.js';
import type { EventType } from '../../src/events/definition.js';
import { EventStore } from '../../src/events/store.js';
import { Dispatcher } from '../../src/dispatch/dispatcher.js';
import { FastPath } from '../../src/dispatch/fast-path.js';
import { Lanes } from '../../src/dispatch/lanes.js';
import { Outbox } from '../../src/dispatch/outbox.js';
import { QueueWindow } from '../../src/dispatch/queue-window.js';
import { Claims } from '../../src/execution/claims.js';
import { Executor } from '../../src/execution/executor.js';
import { Finishing } from '../../src/execution/finishing.js';
import { Fleet } from '../../src/execution/fleet.js';
import type { Handler } from '../../src/execution/handler.js';
import { Handlers } from '../../src/execution/handlers.js';
import { WorkerRegistry } from '../../src/execution/worker-registry.js';
import { systemClock, type Clock } from '../../src/platform/clock.js';
import { readConfig } from '../../src/platform/config.js';
import { createDatabase, createHeartbeatPool } from '../../src/platform/database.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { BullMqBackend } from '../../src/queues/bullmq-backend.js';
import { createPostgresStore, migrateQueues } from '../../src/queues/postgres-store.js';
import { createRedisStore } from '../../src/queues/redis-store.js';
import type { Ephemeral } from '../../src/realtime/contract.js';
import type { CommittedEntry } from '../../src/realtime/publishing/publisher.js';
import type { QueueBackend } from '../../src/queues/backend.js';
import { createTestDatabase } from './database.js';
import { createRedisPrefix, redisUrl } from './redis.js';
import { Collected } from './signals.js';

export type QueueMode = 'redis' | 'postgres';

export interface CoreOptions<Services> {
  readonly mode: QueueMode;
  readonly events: readonly EventType[];
  readonly handlers: readonly Handler<Services>[];
  readonly services: Services;
  /** Stands between the core and its queues. */
  readonly wrap?: (backend: QueueBackend) => QueueBackend;
  readonly withFastPath?: boolean;
  /** Tickets of a queue at a time. */
  readonly window?: number;
  /** A Redis of one's own, to flush or kill. */
  readonly redisUrl?: string;
  /** Whether the end of a job in a lane releases the next at once. */
  readonly withLaneReleases?: boolean;
}

/**
 * Accepting, dispatch and execution in this process, on a database and queues of their own; what would go to sockets is
 * collected.
 */
export async function startCore<Services>(options: CoreOptions<Services>) {
  const testDatabase = await createTestDatabase();
  const logger = pino({ level: 'silent' });
  const clock = systemClock;
  const metrics = createMetrics('synap_');
  const config = readConfig({ NODE_ENV: 'test', DB_POOL_MIN: '0', DB_POOL_MAX: '10' });
  const database = createDatabase(testDatabase.url, config.database, logger);
  const heartbeats = createHeartbeatPool(testDatabase.url, logger);
  const catalogue = new EventCatalogue(options.events, options.handlers);
  if (options.mode === 'postgres') await migrateQueues(testDatabase.url);
  const store =
    options.mode === 'redis'
      ? createRedisStore(options.redisUrl ?? redisUrl(), createRedisPrefix(), logger)
      : createPostgresStore(testDatabase.url, catalogue.queues.length, logger);
  const own = new BullMqBackend(store, clock, logger);
  const backend = options.wrap?.(own) ?? own;

  const entries = new Collected<CommittedEntry>();
  const frames = new Collected<Ephemeral>();
  const publisher = {
    publish: (committed: readonly CommittedEntry[]) => {
      for (const entry of committed) entries.add(entry);
    },
    ephemeral: (_room: string, frame: Ephemeral) => {
      frames.add(frame);
    },
  };

  const outbox = new Outbox(database.pool);
  const { queues } = catalogue;
  const window = new QueueWindow({ backend, outbox, queues, size: options.window ?? 10_000, clock, logger });
  const fastPath = new FastPath({ backend, outbox, window, clock, logger, metrics });
  const onRunnable = options.withFastPath === false ? () => undefined : fastPath.offer;
  const eventStore = new EventStore({ pool: database.pool, onRunnable });
  const acceptor = new EventAcceptor({ catalogue, store: eventStore, clock, metrics });
  const dispatcher = new Dispatcher({ backend, outbox, window, queues, clock, logger, metrics, everyMs: 50 });
  const registry = new WorkerRegistry({ pool: heartbeats, clock, logger });
  const handlers = new Handlers(options.handlers);
  const shutdown = new AbortController();
  const claims = new Claims({ pool: database.pool, workerId: registry.id });
  const lanes = new Lanes({ pool: database.pool, skipping: catalogue.skipping, onRunnable, logger });
  const onLanesEnded = options.withLaneReleases === false ? () => undefined : lanes.ended;
  const finishing = new Finishing({ pool: database.pool, publisher, onRunnable, onLanesEnded });
  const executorWith = (itsClock: Clock) =>
    new Executor({
      database,
      claims,
      finishing,
      handlers,
      catalogue,
      services: options.services,
      publisher,
      clock: itsClock,
      random: Math.random,
      logger,
      metrics,
      attempts: registry.attempts,
      shutdown: shutdown.signal,
    });
  const executor = executorWith(clock);
  const fleet = new Fleet({
    backend,
    queues: handlers.types,
    concurrency: () => 10,
    execute: executor.execute,
    clock,
    shutdown,
  });

  return {
    testDatabase,
    database,
    backend,
    acceptor,
    dispatcher,
    fastPath,
    registry,
    claims,
    finishing,
    executor,
    executorWith: (itsClock: Clock) => executorWith(itsClock).execute,
    fleet,
    outbox,
    window,
    lanes,
    publisher,
    onRunnable,
    onLanesEnded,
    eventStore,
    catalogue,
    entries,
    frames,
    /** Starts the worker and the dispatcher. */
    async start() {
      await registry.start();
      fleet.start();
      dispatcher.start();
    },
    async stop() {
      await dispatcher.stop();
      await fleet.stop(1_000);
      await lanes.drain();
      await fastPath.drain();
      await registry.stop();
      await heartbeats.end();
      await own.close();
      await database.close();
      await testDatabase.drop();
    },
  };
}

export type Core = Awaited<ReturnType<typeof startCore>>;
