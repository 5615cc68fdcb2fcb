import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { Clock } from '../platform/clock.js';
import type { Consumer, QueueBackend } from '../queues/backend.js';
import { FetchingWatch } from './fetching-watch.js';

const queue = 'probe.run.requested';

/** Time that passes when a test says so. */
class SteppedClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly fn: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer = { at: this.#now + delayMs, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#now = due.at;
      due.fn();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#now = end;
  }
}

function watch(hasWork: () => Promise<boolean>) {
  const clock = new SteppedClock();
  const consumer = { fetched: 3, inHand: 0, close: async () => undefined, abandon: async () => undefined };
  let deaf = 0;
  const watched = new FetchingWatch({
    backend: { hasWork } as unknown as QueueBackend,
    consumed: [{ queue, concurrency: 2, consumer: consumer satisfies Consumer }],
    clock,
    logger: pino({ level: 'silent' }),
    onDeaf: () => deaf++,
  });
  watched.start();
  return { clock, consumer, watched, deaf: () => deaf };
}

test('a worker that takes nothing for 30 s while jobs wait and it has room is deaf, told once', async () => {
  const { clock, watched, deaf } = watch(async () => true);
  await clock.pass(34_000);
  expect({ isDeaf: watched.isDeaf, calls: deaf() }).toEqual({ isDeaf: false, calls: 0 });
  await clock.pass(2_000);
  expect({ isDeaf: watched.isDeaf, calls: deaf() }).toEqual({ isDeaf: true, calls: 1 });
  await clock.pass(60_000);
  expect(deaf()).toBe(1);
});

test('a worker that has taken a job meanwhile is not deaf', async () => {
  const { clock, consumer, watched } = watch(async () => true);
  for (let n = 0; n < 5; n++) {
    await clock.pass(25_000);
    consumer.fetched++;
  }
  expect(watched.isDeaf).toBe(false);
});

test('a worker without room is not deaf', async () => {
  const { clock, consumer, watched } = watch(async () => true);
  consumer.inHand = 2;
  await clock.pass(120_000);
  expect(watched.isDeaf).toBe(false);
});

test('a worker of a queue without work for it (empty, paused, at its bound) is not deaf', async () => {
  const { clock, watched } = watch(async () => false);
  await clock.pass(120_000);
  expect(watched.isDeaf).toBe(false);
});

test('a store that is away makes nobody deaf, and what was suspected before is forgotten', async () => {
  let isAway = false;
  const { clock, watched } = watch(async () => {
    if (isAway) throw new Error('away');
    return true;
  });
  await clock.pass(25_000);
  isAway = true;
  await clock.pass(60_000);
  isAway = false;
  await clock.pass(25_000);
  expect(watched.isDeaf).toBe(false);
});
