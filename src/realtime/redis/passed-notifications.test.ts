import { expect, test } from '@jest/globals';
import { PassedNotifications } from './passed-notifications.js';

test('a notification passes once, and nothing before it passes after it', () => {
  const passed = new PassedNotifications();
  const seqs = [1, 2, 2, 1, 4, 3, 5].filter((seq) => passed.pass('room', { epoch: 'e', seq }));
  expect(seqs).toEqual([1, 2, 4, 5]);
});

test('rooms do not know of each other, and a new epoch begins anew', () => {
  const passed = new PassedNotifications();
  expect(passed.pass('a', { epoch: 'e', seq: 7 })).toBe(true);
  expect(passed.pass('b', { epoch: 'e', seq: 1 })).toBe(true);
  expect(passed.pass('a', { epoch: 'f', seq: 1 })).toBe(true);
});

test('a room is known while fewer than 10,000 others were heard, and not for ever', () => {
  const passed = new PassedNotifications();
  const others = (from: number, to: number) => {
    for (let n = from; n < to; n += 1) passed.pass(`other ${n}`, { epoch: 'e', seq: 1 });
  };
  passed.pass('a', { epoch: 'e', seq: 1 });
  others(0, 9_999);
  expect(passed.pass('a', { epoch: 'e', seq: 1 })).toBe(false);
  others(9_999, 30_000);
  expect(passed.pass('a', { epoch: 'e', seq: 1 })).toBe(true);
});
