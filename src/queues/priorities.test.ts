import { expect, test } from '@jest/globals';
import { agedPriority } from './priorities.js';

test.each([
  [100, 0, 100],
  [100, 29_999, 100],
  [100, 30_000, 10],
  [100, 59_999, 10],
  [100, 60_000, 2],
  [10, 30_000, 10],
  [10, 60_000, 2],
  [1, 0, 1],
  [1, 3_600_000, 1],
  // Its time is still to come.
  [100, -5_000, 100],
])('priority %p after %p ms counts as %p', (priority, waitedMs, aged) => {
  expect(agedPriority(priority, waitedMs)).toBe(aged);
});
