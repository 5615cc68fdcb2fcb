import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { systemClock } from './clock.js';
import { Lifecycle } from './lifecycle.js';

const create = () => new Lifecycle(systemClock, pino({ level: 'silent' }));

test('stopping closes in reverse, once, and readiness knows it first', async () => {
  const lifecycle = create();
  const closed: string[] = [];
  for (const name of ['database', 'server']) {
    lifecycle.onStop(name, () => {
      expect(lifecycle.draining).toBe(true);
      closed.push(name);
    });
  }
  expect(lifecycle.draining).toBe(false);
  expect(await Promise.all([lifecycle.stop(1_000), lifecycle.stop(1_000)])).toEqual([true, true]);
  expect(closed).toEqual(['server', 'database']);
});

test('one that never ends or fails does not keep the others from closing, and the stop is not clean', async () => {
  const lifecycle = create();
  const closed: string[] = [];
  lifecycle.onStop('database', () => void closed.push('database'));
  lifecycle.onStop('stuck', () => new Promise(() => undefined));
  lifecycle.onStop('broken', () => Promise.reject(new Error('broken')));
  expect(await lifecycle.stop(20)).toBe(false);
  expect(closed).toEqual(['database']);
});
