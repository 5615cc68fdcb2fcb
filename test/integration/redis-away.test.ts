import { afterEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Fleet } from '../../src/execution/fleet.js';
import { systemClock } from '../../src/platform/clock.js';
import { checkRedis, connectRedis, type Redis } from '../../src/platform/redis.js';
import { createTokens } from '../../src/platform/tokens.js';
import { BullMqBackend } from '../../src/queues/bullmq-backend.js';
import { createRedisStore } from '../../src/queues/redis-store.js';
import { createTestDatabase } from '../support/database.js';
import { freePort } from '../support/ports.js';
import { createRedisPrefix, startRedis, type RedisServer } from '../support/redis.js';
import { eventually, within } from '../support/signals.js';
import { startSynap, testJwtSecret } from '../support/synap.js';

const queue = 'probe.run.requested';
const jobId = '00000000-0000-7000-8000-000000000001';
const ticket = {
  jobId,
  generation: 1,
  priority: 10,
  runAt: 0,
  data: { eventId: jobId, type: queue, userId: 'ada', requestId: 'r', correlationId: 'r' },
};

const logger = pino({ level: 'silent' });
const open = (url: string) =>
  new BullMqBackend(createRedisStore(url, createRedisPrefix(), logger), systemClock, logger);
const ignored = (promise: Promise<unknown>): void => void promise.catch(() => undefined);
const enqueued = (backend: BullMqBackend) =>
  eventually(
    () =>
      backend.enqueue(queue, [ticket]).then(
        () => true,
        () => undefined,
      ),
    'the ticket to be added',
  );

let redis: RedisServer | undefined;
let backend: BullMqBackend | undefined;
afterEach(async () => {
  await within(backend?.close() ?? Promise.resolve(), 'the backend to close');
  backend = undefined;
  // A frozen one would not hear that it is to stop.
  if (redis !== undefined) process.kill(redis.pid, 'SIGCONT');
  await redis?.stop();
  redis = undefined;
});

test('a worker that starts before Redis does its work when Redis is there', async () => {
  const port = await freePort();
  backend = open(`redis://127.0.0.1:${port}`);
  const taken = Promise.withResolvers<string>();
  const consumer = backend.consume(queue, 1, async ({ jobId: id }) => {
    taken.resolve(id);
    return { kind: 'done' };
  });
  await eventually(
    () =>
      backend?.ping().then(
        () => undefined,
        () => true as const,
      ) ?? Promise.resolve(undefined),
    'Redis to be missed',
  );
  redis = await startRedis({ port });
  await enqueued(backend);
  expect(await within(taken.promise, 'the job')).toBe(jobId);
  await consumer.close();
});

test('a start says that Redis is out of reach where it is frozen, instead of waiting', async () => {
  redis = await startRedis();
  process.kill(redis.pid, 'SIGSTOP');
  await expect(within(checkRedis(redis.url), 'an answer')).rejects.toMatchObject({ code: 'start_failed' });
});

test.each(['dead', 'frozen'])('a fleet stops in time while Redis is %s', async (how) => {
  redis = await startRedis();
  backend = open(redis.url);
  const started = Promise.withResolvers<void>();
  const shutdown = new AbortController();
  const fleet = new Fleet({
    backend,
    queues: [queue, 'probe.echo.requested'],
    concurrency: () => 2,
    clock: systemClock,
    shutdown,
    execute: async () => {
      started.resolve();
      await new Promise<void>((resolve) => shutdown.signal.addEventListener('abort', () => resolve()));
      return { kind: 'later', runAt: 0 };
    },
  });
  fleet.start();
  await enqueued(backend);
  await within(started.promise, 'the job');
  const { port, pid } = redis;
  if (how === 'dead') await redis.kill();
  else process.kill(pid, 'SIGSTOP');
  await within(fleet.stop(50), 'the fleet to stop', 6_000);
  // What was let go ends when it finds its Redis; a real process has ended by now.
  if (how === 'dead') redis = await startRedis({ port });
  else process.kill(pid, 'SIGCONT');
});

describe('a connection to a Redis that is frozen', () => {
  const answerTimeoutMs = 500;
  // `once` of node:events would reject with the error that is expected here.
  const next = (connection: Redis, event: string) =>
    new Promise<void>((resolve) => connection.once(event, () => resolve()));

  test.each([
    ['of a subscriber, which only listens', (it: Redis) => it.subscribe('news')],
    ['that is idle', (it: Redis) => it.ping()],
    ['of a worker, which waits for work', (it: Redis) => it.ping().then(() => ignored(it.bzpopmin('none', 0.1)))],
  ])('%s, notices and is made anew', async (_who, use) => {
    const { pid, url } = (redis = await startRedis());
    const connection = connectRedis(url, 'probe', logger, { answerTimeoutMs });
    await use(connection);
    const lost = next(connection, 'close');
    process.kill(pid, 'SIGSTOP');
    await within(lost, 'the loss to be noticed', 6_000);
    const back = next(connection, 'ready');
    process.kill(pid, 'SIGCONT');
    await within(back, 'the connection');
    connection.disconnect();
  });

  test('that only listens hears again afterwards', async () => {
    const { pid, url } = (redis = await startRedis());
    const connection = connectRedis(url, 'probe', logger, { answerTimeoutMs });
    await connection.subscribe('news');
    const heard = new Promise<string>((resolve) => connection.once('message', (_channel, text) => resolve(text)));
    const lost = next(connection, 'close');
    process.kill(pid, 'SIGSTOP');
    await within(lost, 'the loss to be noticed', 6_000);
    process.kill(pid, 'SIGCONT');
    const other = connectRedis(url, 'other', logger);
    await eventually(async () => ((await other.publish('news', 'hello')) > 0 ? true : undefined), 'a listener');
    expect(await within(heard, 'the news')).toBe('hello');
    other.disconnect();
    connection.disconnect();
  });

  test('one that blocks for as long as its worker asks is left alone', async () => {
    redis = await startRedis();
    const connection = connectRedis(redis.url, 'probe', logger);
    const lost = next(connection, 'close').then(() => 'lost');
    expect(await Promise.race([connection.bzpopmin('none', 10), lost])).toBeNull();
    connection.disconnect();
  }, 20_000);
});

describe('a Redis that refuses writes', () => {
  test('for lack of memory leaves jobs to the outbox, and takes them when there is room', async () => {
    redis = await startRedis();
    backend = open(redis.url);
    await enqueued(backend);
    const admin = connectRedis(redis.url, 'admin', logger);
    await admin.config('SET', 'maxmemory', '1');
    await expect(backend.enqueue(queue, [ticket])).rejects.toThrow(/OOM/);
    await admin.config('SET', 'maxmemory', '0');
    await backend.enqueue(queue, [ticket]);
    expect(await backend.missing(queue, [`${jobId}.1`])).toEqual(new Set());
    admin.disconnect();
  });

  test('because it has become a replica is left for the new master: the connection is made anew', async () => {
    redis = await startRedis();
    backend = open(redis.url);
    await enqueued(backend);
    const admin = connectRedis(redis.url, 'admin', logger);
    const producers = async () =>
      String(await admin.client('LIST'))
        .split('\n')
        .filter((line) => line.includes('name=synap-queues'))
        .map((line) => /^id=(\d+)/.exec(line)?.[1]);
    const before = await producers();
    expect(before).toHaveLength(1);
    await admin.replicaof('127.0.0.1', 1);
    await expect(backend.enqueue(queue, [ticket])).rejects.toThrow(/READONLY/);
    await eventually(async () => {
      const now = await producers();
      return now.length === 1 && now[0] !== before[0] ? true : undefined;
    }, 'another connection');
    await admin.replicaof('NO', 'ONE');
    await enqueued(backend);
    admin.disconnect();
  });
});

test('with Redis frozen api and realtime are ready, the api accepts as fast as before, and a worker alone is not ready', async () => {
  const { pid, url: redisUrl } = (redis = await startRedis());
  const database = await createTestDatabase();
  const common = { databaseUrl: database.url, redisUrl, env: { QUEUE_PREFIX: createRedisPrefix() } };
  const [api, realtime, worker] = await Promise.all([
    startSynap({ ...common, roles: ['api'] }),
    // Its worker and its dispatcher do not keep clients from it.
    startSynap({ ...common, roles: ['realtime', 'worker', 'dispatcher'] }),
    startSynap({ ...common, roles: ['worker'] }),
  ]);
  const all = [api, realtime, worker];
  const token = await createTokens(testJwtSecret).mint('ada', { expiresInSeconds: 600 });
  const post = async (body: object): Promise<number> => {
    const startedAt = performance.now();
    const response = await fetch(`${api.url}/v1/events`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const { code = 'accepted' } = (await response.json()) as { code?: string };
    expect(['accepted', 'rate_limited']).toContain(code);
    return performance.now() - startedAt;
  };
  const note = { type: 'note.creation.requested', data: { title: 't', content: 'c' } };
  // Limited per user, so that it asks Redis for the count of all processes.
  const message = { type: 'conversation.message.sent', data: { content: 'hello' } };
  const slowTenth = async (): Promise<number> => {
    const times: number[] = [];
    for (let n = 0; n < 60; n++) times.push(await post(n % 2 === 0 ? note : message));
    return times.toSorted((a, b) => a - b)[54] ?? Infinity;
  };
  try {
    await slowTenth();
    const usual = await slowTenth();
    process.kill(pid, 'SIGSTOP');
    // The first notices that there is no answer, for all who come after it.
    await Promise.all([post(message), post(note)]);
    expect(await slowTenth()).toBeLessThan(usual + 50);
    const ready = await fetch(`${api.url}/ready`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: 'degraded', checks: { postgres: 'ok', queues: 'degraded' } });
    const deaf = await fetch(`${realtime.url}/ready`);
    expect([deaf.status, await deaf.json()]).toMatchObject([
      200,
      { status: 'degraded', checks: { postgres: 'ok', queues: 'degraded', realtime: 'degraded' } },
    ]);
    const away = await fetch(`${worker.url}/ready`);
    expect(away.status).toBe(503);
    expect(await away.json()).toMatchObject({ checks: { postgres: 'ok', queues: 'failed' } });
    process.kill(pid, 'SIGCONT');
    await eventually(async () => {
      const answers = await Promise.all(all.map(({ url }) => fetch(`${url}/ready`)));
      const bodies = (await Promise.all(answers.map((answer) => answer.json()))) as { status: string }[];
      return bodies.every(({ status }) => status === 'ok') ? true : undefined;
    }, 'all to be ready');
  } finally {
    process.kill(pid, 'SIGCONT');
    await Promise.all(all.map((synap) => synap.stop()));
    await database.drop();
  }
}, 60_000);
