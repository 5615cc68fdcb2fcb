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
