import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { systemClock } from './clock.js';
import { Periodic } from './periodic.js';

const logger = pino({ level: 'silent' });

function periodic(run: () => Promise<void>) {
  const started = Promise.withResolvers<void>();
  const service = new Periodic({
    name: 'probe',
    everyMs: 1,
    run: () => {
      started.resolve();
      return run();
    },
    clock: systemClock,
    logger,
  });
  service.start();
  return { service, started: started.promise };
}

test('stopping waits for the round in hand', async () => {
  const gate = Promise.withResolvers<void>();
  let isDone = false;
  const { service, started } = periodic(async () => {
    await gate.promise;
    isDone = true;
  });
  await started;
  const stopped = service.stop();
  gate.resolve();
  await stopped;
  expect(isDone).toBe(true);
});

test('stopping does not wait for a round that hangs: what comes after it would be cut off', async () => {
  const { service, started } = periodic(() => new Promise(() => undefined));
  await started;
  await service.stop();
}, 3_000);

test.each([
  ['true, follows at once', true, 0],
  ['milliseconds, follows after them', 30, 30],
  ['more than its rest, follows after its rest', 5_000, 1_000],
  ['nothing, follows after its rest', undefined, 1_000],
])('a round that answers %s', async (_what, answer, restMs) => {
  const rested = Promise.withResolvers<number>();
  let isFirst = true;
  const clock = {
    now: () => 0,
    after(delayMs: number, fn: () => void) {
      if (isFirst) setImmediate(fn);
      else rested.resolve(delayMs);
      isFirst = false;
      return () => undefined;
    },
  };
  new Periodic({ name: 'probe', everyMs: 1_000, run: () => Promise.resolve(answer), clock, logger }).start();
  expect(await rested.promise).toBe(restMs);
});
