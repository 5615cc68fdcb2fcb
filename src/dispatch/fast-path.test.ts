import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { Clock } from '../platform/clock.js';
import { createMetrics } from '../platform/metrics.js';
import type { QueueBackend } from '../queues/backend.js';
import type { Runnable } from '../queues/ticket.js';
import { FastPath } from './fast-path.js';
import type { Outbox } from './outbox.js';
import type { QueueWindow } from './queue-window.js';

const runnable = (n: number): Runnable => ({
  queue: 'q',
  jobId: `00000000-0000-7000-8000-00000000000${n}`,
  generation: 1,
  priority: 10,
  runAt: 0,
  data: { eventId: '', type: 'q', userId: 'ada', requestId: 'r', correlationId: 'r' },
});

/** A clock whose timers fire when the test says so. */
function manual() {
  const timers = new Set<{ at: number; fn: () => void }>();
  let now = 0;
  const clock: Clock = {
    now: () => now,
    after: (delayMs, fn) => {
      const timer = { at: now + delayMs, fn };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  const advance = (ms: number) => {
    now += ms;
    for (const timer of timers) if (timer.at <= now && timers.delete(timer)) timer.fn();
  };
  return { clock, advance };
}

test('a queue store that is frozen has one batch of each queue in flight, however long it lasts', async () => {
  const { clock, advance } = manual();
  const thawed = Promise.withResolvers<void>();
  const sent: number[] = [];
  const backend = {
    enqueue: (_queue: string, tickets: readonly unknown[]) => {
      sent.push(tickets.length);
      return thawed.promise;
    },
  } as unknown as QueueBackend;
  const window = { admit: (_queue: string, tickets: Runnable[]) => Promise.resolve(tickets) } as unknown as QueueWindow;
  const outbox = { remove: () => Promise.resolve() } as unknown as Outbox;
  const logger = pino({ level: 'silent' });
  const fastPath = new FastPath({ backend, outbox, window, clock, logger, metrics: createMetrics('') });
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  for (let seconds = 0; seconds < 60; seconds++) {
    fastPath.offer([runnable(1), runnable(2)]);
    await turn();
    advance(1_000);
    await turn();
  }
  expect(sent).toEqual([2]);
  thawed.resolve();
  await turn();
  fastPath.offer([runnable(3)]);
  await fastPath.drain();
  expect(sent).toEqual([2, 1]);
});

test('what was dispatched leaves the outbox by many rows together, within a tenth of their lease', async () => {
  const { clock, advance } = manual();
  const removed: number[] = [];
  const backend = { enqueue: () => Promise.resolve() } as unknown as QueueBackend;
  const window = { admit: (_queue: string, tickets: Runnable[]) => Promise.resolve(tickets) } as unknown as QueueWindow;
  const outbox = {
    remove: (tickets: readonly unknown[]) => Promise.resolve(void removed.push(tickets.length)),
  } as unknown as Outbox;
  const logger = pino({ level: 'silent' });
  const fastPath = new FastPath({ backend, outbox, window, clock, logger, metrics: createMetrics('') });
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  await fastPath.drain();
  for (const n of [1, 2, 3]) {
    fastPath.offer([runnable(n)]);
    await turn();
    advance(10);
  }
  expect(removed).toEqual([]);
  advance(20);
  await turn();
  expect(removed).toEqual([3]);

  fastPath.offer(Array.from({ length: 250 }, (_, n) => runnable(n)));
  await turn();
  expect(removed).toEqual([3, 250]);

  fastPath.offer([runnable(1)]);
  await fastPath.drain();
  expect(removed).toEqual([3, 250, 1]);
});
