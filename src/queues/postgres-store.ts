import {
  assertSchemaCompatibility,
  createPostgresBackend,
  runMigrations,
  withBackend,
  type PgPool,
  type Queue,
  type Worker,
} from 'bullmq';
import pg from 'pg';
import { timeouts } from '../platform/database.js';
import { endWhenLost } from '../platform/guarded-pool.js';
import type { Logger } from '../platform/logger.js';
import type { BullMqStore } from './bullmq-backend.js';
import { PostgresLooks } from './postgres-looks.js';

/** Its statements are short; one that is not is stuck. Waiting for a job is no statement. */
const queryTimeoutMs = 10_000;

/** BullMQ's tables live in a schema of their own, beside Synap's. */
const schema = 'bullmq';

/**
 * Queues in Postgres, for a single process without Redis. All queues share one pool: with a pool each they would take 40
 * connections idle. Each worker keeps one connection for LISTEN, so the pool must be larger than the number of queues by
 * enough to serve the rest, or every client becomes a listener and adding hangs.
 */
export function createPostgresStore(databaseUrl: string, queueCount: number, logger: Logger): BullMqStore {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    application_name: 'synap-queues',
    options: `-c search_path=${schema}`,
    max: queueCount + 8,
    ...timeouts(queryTimeoutMs),
  });
  pool.on('connect', (client) => endWhenLost(client));
  let isClosing = false;
  pool.on('error', (error) => {
    if (!isClosing) logger.warn({ err: error }, 'an idle queue connection was lost');
  });
  // Each queue and worker listens for the pool's errors.
  pool.setMaxListeners(queueCount * 4 + 10);
  // The classes differ from the Redis ones in the type of their backend only, which nothing of Synap touches.
  // @types/pg describes events by overloads that BullMQ's own narrow type of a pool does not match; the object is one.
  const connection = pool as unknown as PgPool;
  const classes = withBackend(createPostgresBackend);
  return {
    mode: 'postgres',
    looks: new PostgresLooks(pool),
    createQueue: (name) => new classes.Queue(name, { connection }) as unknown as Queue,
    createWorker: (name, processor, options) =>
      new classes.Worker(name, processor, { ...options, connection }) as unknown as Worker,
    async ping() {
      await pool.query('SELECT 1');
    },
    async close() {
      isClosing = true;
      await pool.end();
    },
  };
}

/** @throws Error where BullMQ's tables are missing or of another version; its queues would ask for them for ever. */
export async function checkQueueSchema(databaseUrl: string): Promise<void> {
  await withClient(databaseUrl, (client) => assertSchemaCompatibility(client, schema));
}

/** Creates or updates BullMQ's own tables; a part of `migrate`. */
export async function migrateQueues(databaseUrl: string): Promise<void> {
  await withClient(databaseUrl, (client) => runMigrations(client, schema));
}

async function withClient(databaseUrl: string, fn: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'synap-migrate' });
  await client.connect();
  try {
    await fn(client);
  } finally {
    await client.end();
  }
}
