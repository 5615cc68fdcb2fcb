import { expect, test } from '@jest/globals';
import type pg from 'pg';
import { pino } from 'pino';
import type { Clock } from '../platform/clock.js';
import type { SynapEvent } from '../events/synap-event.js';
import { AttemptBroadcast } from './attempt-broadcast.js';

/** A broadcast whose half seconds pass when the test says so, and all that leaves it. */
function start() {
  const timers = new Set<() => void>();
  const clock: Clock = {
    now: () => 0,
    after(_delayMs, fn) {
      timers.add(fn);
      return () => timers.delete(fn);
    },
  };
  const sent = { progress: [] as number[], lines: [] as string[], frames: 0, writes: [] as unknown[] };
  const query = ({ values }: { readonly values: unknown[] }) => {
    sent.writes.push(JSON.parse(String(values[2])));
    return Promise.resolve();
  };
  const broadcast = new AttemptBroadcast({
    pool: { query } as unknown as pg.Pool,
    publisher: { publish: () => undefined, ephemeral: () => void sent.frames++ },
    clock,
    logger: pino({ level: 'silent' }),
    event: { id: 'e', userId: 'ada', requestId: 'r' } as unknown as SynapEvent,
    fence: 1,
    taken: {
      jobId: 'e',
      generation: 1,
      signal: new AbortController().signal,
      log: (line) => sent.lines.push(line),
      progress: (percent) => sent.progress.push(percent),
    },
  });
  return {
    broadcast,
    sent,
    /** Half a second. */
    pass() {
      for (const fn of [...timers]) {
        timers.delete(fn);
        fn();
      }
    },
  };
}

test('a handler that reports progress in a loop writes the newest, once in half a second', () => {
  const { broadcast, sent, pass } = start();
  for (let n = 0; n < 10_000; n++) broadcast.progress(n / 100);
  pass();
  broadcast.progress(100, 'done');
  pass();
  pass();
  expect(sent.progress).toEqual([100, 100]);
  expect(sent.writes).toEqual([{ percent: 100 }, { percent: 100, message: 'done' }]);
});

test('a handler that logs in a loop leaves a thousand lines in the queue, and one that says so', () => {
  const { broadcast, sent } = start();
  const logger = broadcast.toLogger();
  for (let n = 0; n < 5_000; n++) logger.info(`line ${n}`);
  expect(sent.lines).toHaveLength(1_001);
  expect(sent.lines.at(-1)).toContain('more than 1000 lines');
});

test('a handler that was left behind says nothing after its attempt', () => {
  const { broadcast, sent, pass } = start();
  broadcast.progress(50);
  const [logger, stream] = [broadcast.toLogger(), broadcast.toStream()];
  broadcast[Symbol.dispose]();
  const { frames } = sent;
  broadcast.progress(60);
  logger.info('late');
  stream.write('late');
  pass();
  expect(sent).toEqual({ progress: [], lines: [], frames, writes: [] });
});
