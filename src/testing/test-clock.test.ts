import { expect, test } from '@jest/globals';
import { TestClock } from './test-clock.js';

test('putting the clock forward fires what is due before it returns, in the order of its times', () => {
  const clock = new TestClock();
  const fired: string[] = [];
  clock.after(3_000, () => fired.push('third'));
  clock.after(1_000, () => {
    fired.push('first');
    clock.after(500, () => fired.push('not before the next second'));
  });
  clock.after(2_000, () => fired.push('second'));
  clock.after(2_500, () => fired.push('cancelled'))();
  clock.after(60_000, () => fired.push('later'));
  const before = clock.now();
  clock.advance(3_000);
  expect(fired).toEqual(['first', 'second', 'third']);
  expect(clock.now() - before).toBeGreaterThanOrEqual(3_000);
  clock.advance(999);
  expect(fired.slice(3)).toEqual(['not before the next second']);
});

test('a timer that nobody advances to fires in its real time', async () => {
  const clock = new TestClock();
  const fired = Promise.withResolvers<void>();
  clock.after(5, fired.resolve);
  await fired.promise;
});

test('time does not go back', () => {
  expect(() => new TestClock().advance(-1)).toThrow(RangeError);
});
