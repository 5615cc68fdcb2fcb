import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Fleet } from '../../src/execution/fleet.js';
import { systemClock } from '../../src/platform/clock.js';
import { BullMqBackend } from '../../src/queues/bullmq-backend.js';
import { createRedisStore } from '../../src/queues/redis-store.js';
import { freePort } from '../support/ports.js';
import { createRedisPrefix, startRedis, type RedisServer } from '../support/redis.js';
import { eventually, within } from '../support/signals.js';

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
