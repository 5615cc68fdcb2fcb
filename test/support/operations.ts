import type { Job } from 'bullmq';
import { JobAdministration } from '../../src/execution/administration.js';
import { createOperationsRouter, type OperationsOptions } from '../../src/operations/router.js';
import { systemClock } from '../../src/platform/clock.js';
import { readConfig } from '../../src/platform/config.js';
import { createDatabase, type Database } from '../../src/platform/database.js';
import { newId } from '../../src/platform/ids.js';
import { createLogger } from '../../src/platform/logger.js';
import { BullMqBackend } from '../../src/queues/bullmq-backend.js';
import { createPostgresStore, migrateQueues } from '../../src/queues/postgres-store.js';
import { createRedisStore } from '../../src/queues/redis-store.js';
import { ticketId, type Runnable } from '../../src/queues/ticket.js';
import type { CommittedEntry } from '../../src/realtime/publishing/publisher.js';
import { startApi, type TestApi } from './api.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { createRedisPrefix, redisUrl } from './redis.js';
import { eventually, within } from './signals.js';

export const operator = { name: 'olga', password: 'correct horse battery' };
const queue = 'note.creation.requested';
const logger = createLogger({ level: 'silent', pretty: false });

export interface SeededJob {
  readonly id: string;
  readonly ticket: string;
}

/** Administration on a database of its own, with what it hands on collected. */
export async function startAdministration() {
  const testDatabase = await createTestDatabase();
  const database = createDatabase(testDatabase.url, readConfig({ DB_POOL_MIN: '0' }).database, logger);
  const published: CommittedEntry[] = [];
  const runnable: Runnable[] = [];
  const administration = new JobAdministration({
    database,
    publisher: { publish: (entries) => void published.push(...entries), ephemeral: () => undefined },
    onRunnable: (rows) => void runnable.push(...rows),
  });
  return { testDatabase, database, administration, published, runnable };
}

export interface Seed {
  readonly state: string;
  /** SQL. */
  readonly runAt?: string;
  readonly userId?: string;
  readonly type?: string;
  readonly aggregateId?: string;
  readonly data?: unknown;
  readonly letter?: {
    readonly fingerprint?: string;
    readonly code?: string;
    readonly message?: string;
    readonly replays?: number;
    /** SQL. */
    readonly diedAt?: string;
  };
}

/** A job in the state that a real one would be in, and its event; a dead one with its dead letter. */
export async function seedJob({ pool }: Pick<TestDatabase, 'pool'>, seed: Seed): Promise<SeededJob> {
  const { state, runAt = 'now()', userId = 'ursula', type = queue, letter = {}, aggregateId = 'note-1' } = seed;
  const id = newId();
  const ended = ['completed', 'dead', 'cancelled'].includes(state);
  await pool.query(
    `WITH e AS (
       INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, source, "correlationId", "requestId")
       VALUES ($1, $4, $6, 'note', $3, $5, 'api', 'req-1', 'req-1')
     )
     INSERT INTO jobs (id, queue, "userId", "requestId", "isRoot", state, priority, "runAt", "startedAt", "finishedAt", failures, fence)
     VALUES ($1, $4, $3, 'req-1', true, $2, 10, ${runAt}, now(), ${ended ? 'now()' : 'NULL'}, 3, 3)`,
    [id, state, userId, type, JSON.stringify(seed.data ?? { title: 'Buy milk' }), aggregateId],
  );
  if (state === 'dead') {
    const { fingerprint = 'f', code = 'handler_failed', message = 'the disk is full', replays = 0 } = letter;
    const error = { code, message, stack: `Error: ${message}\n    at write (notes.ts:1:1)` };
    await pool.query(
      `INSERT INTO dead_letters ("jobId", queue, "userId", generation, attempts, fingerprint, error, replays, "createdAt")
       VALUES ($1, $4, $3, 1, 3, $5, $2, $6, ${letter.diedAt ?? 'now()'})`,
      [id, JSON.stringify(error), userId, type, fingerprint, replays],
    );
  }
  return { id, ticket: ticketId(id, 1) };
}

export type Mode = 'redis' | 'postgres';

export interface Operations {
  readonly api: TestApi;
  readonly testDatabase: TestDatabase;
  readonly database: Database;
  readonly administration: JobAdministration;
  readonly backend: BullMqBackend;
  readonly published: readonly CommittedEntry[];
  readonly queue: string;
  /** Puts the job's ticket in its queue. */
  enqueue(job: SeededJob, delayMs?: number): Promise<void>;
  /** The same, and fails it, as a worker does for a dead job. */
  fail(job: SeededJob): Promise<void>;
  ticket(id: string): Promise<Job | undefined>;
  close(): Promise<void>;
}

/** The HTTP application with /admin, on real queues. */
export async function startOperations(
  mode: Mode,
  { redis = redisUrl(), ...options }: Partial<OperationsOptions> & { readonly redis?: string } = {},
): Promise<Operations> {
  const { testDatabase, database, administration, published } = await startAdministration();
  if (mode === 'postgres') await migrateQueues(testDatabase.url);
  const store =
    mode === 'redis'
      ? createRedisStore(redis, createRedisPrefix(), logger)
      : createPostgresStore(testDatabase.url, 2, logger);
  const backend = new BullMqBackend(store, systemClock, logger);
  await eventually(
    () =>
      backend.ping().then(
        () => true,
        () => undefined,
      ),
    'the queue store',
  );
  const path = '/admin';
  const common = {
    path,
    backend,
    queues: [queue, 'task.creation.requested'],
    administration,
    database,
    operator,
    clock: systemClock,
    logger,
  };
  const router = createOperationsRouter({
    ...common,
    secret: 'a secret of the tests',
    environment: 'test',
    isProduction: false,
    ...options,
  });
  const api = await startApi({ databaseUrl: testDatabase.url, deps: { mounts: [{ path, router }] } });
  const enqueue = async ({ id }: SeededJob, delayMs = 0) => {
    const data = { eventId: id, type: queue, userId: 'ursula', requestId: 'req-1', correlationId: 'req-1' };
    await backend.enqueue(queue, [{ jobId: id, generation: 1, priority: 10, runAt: Date.now() + delayMs, data }]);
  };
  return {
    api,
    testDatabase,
    database,
    administration,
    backend,
    published,
    queue,
    enqueue,
    fail: async (job) => {
      await enqueue(job);
      await failNext(backend, job);
    },
    ticket: (id) => backend.queue(queue).getJob(id),
    async close() {
      await api.close();
      await backend.close();
      await database.close();
      await testDatabase.drop();
    },
  };
}

/** What lies before it in the queue is taken too, and forgotten. */
async function failNext(backend: BullMqBackend, { id }: SeededJob): Promise<void> {
  const reached = Promise.withResolvers<void>();
  const consumer = backend.consume(queue, 1, ({ jobId, log }) => {
    if (jobId !== id) return Promise.resolve({ kind: 'done' });
    log('writing the file');
    reached.resolve();
    return Promise.resolve({ kind: 'failed', error: new Error('the disk is full') });
  });
  await within(reached.promise, 'the attempt');
  await consumer.close();
}

/** Signs in with the form, as a browser does, and answers the cookie. */
export async function signIn(api: TestApi, sent: { readonly name: string; readonly password: string } = operator) {
  const response = await api.call('/admin/sign-in', {
    method: 'POST',
    redirect: 'manual',
    headers: { Origin: api.url, 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ ...sent, next: '/admin/queues' }),
  });
  return { response, cookie: response.headers.get('set-cookie')?.split(';')[0] ?? '' };
}
