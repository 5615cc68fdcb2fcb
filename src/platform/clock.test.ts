import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { systemClock } from './clock.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const dayMs = 86_400_000;

test('a delay beyond the 32 bits of setTimeout is waited out, once', () => {
  const fn = jest.fn();
  systemClock.after(60 * dayMs, fn);
  jest.advanceTimersByTime(60 * dayMs - 1);
  expect(fn).not.toHaveBeenCalled();
  jest.advanceTimersByTime(1);
  expect(fn).toHaveBeenCalledTimes(1);
});

test('such a delay can be cancelled in any of its parts', () => {
  const fn = jest.fn();
  const cancel = systemClock.after(60 * dayMs, fn);
  jest.advanceTimersByTime(30 * dayMs);
  cancel();
  jest.advanceTimersByTime(60 * dayMs);
  expect(fn).not.toHaveBeenCalled();
});
