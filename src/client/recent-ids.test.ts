import { expect, test } from '@jest/globals';
import { RecentIds } from './recent-ids.js';

test('an id counts once, and the oldest are forgotten where there are too many', () => {
  const ids = new RecentIds(3);
  expect(['a', 'a', 'b', 'c', 'a', 'd', 'b', 'a'].map((id) => ids.add(id))).toEqual([
    true,
    false,
    true,
    true,
    false,
    true,
    false,
    true,
  ]);
});
