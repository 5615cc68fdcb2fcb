import { afterEach, describe, expect, test } from '@jest/globals';
import type { Worker } from 'bullmq';
import { pino } from 'pino';
import { FetchingWatch } from '../../src/execution/fetching-watch.js';
import { systemClock } from '../../src/platform/clock.js';
import { BullMqBackend, type BullMqStore } from '../../src/queues/bullmq-backend.js';
import type { Consumer } from '../../src/queues/backend.js';
import { createRedisStore } from '../../src/queues/redis-store.js';
import { createRedisPrefix, redisUrl } from '../support/redis.js';
import { Collected, eventually } from '../support/signals.js';

const queue = 'probe.run.requested';
const logger = pino({ level: 'silent' });
const ticket = (n: number) => {
  const jobId = `00000000-0000-7000-8000-00000000000${n}`;
  const data = { eventId: jobId, type: queue, userId: 'ada', requestId: 'r', correlationId: 'r' };
  return { jobId, generation: 1, priority: 10, runAt: 0, data };
};

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A consumer on Redis, and the BullMQ workers that it makes. */
async function consume() {
  const workers: Worker[] = [];
  const store = createRedisStore(redisUrl(), createRedisPrefix(), logger);
  const spied: BullMqStore = {
    ...store,
    createWorker: (...given) => {
      const worker = store.createWorker(...given);
      workers.push(worker);
      return worker;
    },
  };
  const backend = new BullMqBackend(spied, systemClock, logger);
  cleanups.push(() => backend.close());
  const taken = new Collected<string>();
  const consumer = backend.consume(queue, 2, async ({ jobId }) => {
    taken.add(jobId);
    return { kind: 'done' };
  });
  cleanups.push(() => consumer.close());
  await eventually(
    () =>
      backend.enqueue(queue, [ticket(1)]).then(
        () => true as const,
        () => undefined,
      ),
    'the first job to be added',
  );
  await taken.count(1, 'job');
  return { backend, consumer, taken, workers };
}

const watchOf = (backend: BullMqBackend, consumer: Consumer, onDeaf: () => void) =>
  new FetchingWatch({ backend, consumed: [{ queue, concurrency: 2, consumer }], clock: systemClock, logger, onDeaf });

describe('a consumer', () => {
  test('whose run loop ended with an error takes jobs again', async () => {
    const { backend, taken, workers } = await consume();
    const worker = workers[0]!;
    await worker.pause(true);
    await eventually(async () => (worker.isRunning() ? undefined : true), 'the loop to have ended');
    // It ends as with an error that BullMQ does not expect: there is an error event, and nobody runs the loop again.
    Reflect.set(worker, 'mainLoop', async () => {
      Reflect.deleteProperty(worker, 'mainLoop');
      throw new Error('unexpected');
    });
    Reflect.set(worker, 'paused', false);
    worker.run().catch((error: Error) => worker.emit('error', error));
    await backend.enqueue(queue, [ticket(2)]);
    await taken.count(2, 'jobs');
  });

  test('whose worker was closed from elsewhere makes a new one', async () => {
    const { backend, taken, workers } = await consume();
    await workers[0]?.close();
    await backend.enqueue(queue, [ticket(2)]);
    await taken.count(2, 'jobs');
    expect(workers).toHaveLength(2);
  });

  test('that is closed stays closed', async () => {
    const { backend, consumer, workers } = await consume();
    await consumer.close();
    await backend.enqueue(queue, [ticket(2)]);
    expect({ workers: workers.length, isRunning: workers[0]?.isRunning() }).toEqual({ workers: 1, isRunning: false });
    expect(await backend.hasWork(queue)).toBe(true);
  });

  test('whose worker is deaf is found, and one that is busy or idle is not', async () => {
    const { backend, consumer, taken, workers } = await consume();
    let deaf = 0;
    const watch = watchOf(backend, consumer, () => deaf++);
    for (let look = 0; look < 20; look++) await watch.runOnce();
    expect(deaf).toBe(0);
    await workers[0]?.pause(true);
    await eventually(async () => (workers[0]?.isRunning() === false ? true : undefined), 'the loop to have ended');
    await backend.enqueue(queue, [ticket(2)]);
    for (let look = 0; look < 6; look++) await watch.runOnce();
    expect(deaf).toBe(0);
    await watch.runOnce();
    expect(deaf).toBe(1);
    expect(taken.items).toHaveLength(1);
  });

  test('of a queue that is paused or at its bound has no work', async () => {
    const { backend, consumer } = await consume();
    await consumer.close();
    await backend.enqueue(queue, [ticket(2)]);
    await backend.queue(queue).pause();
    expect(await backend.hasWork(queue)).toBe(false);
    await backend.queue(queue).resume();
    expect(await backend.hasWork(queue)).toBe(true);
  });
});
