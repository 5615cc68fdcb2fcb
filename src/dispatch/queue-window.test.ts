import { expect, test } from '@jest/globals';
import { creditsOf } from './queue-window.js';

test.each([
  ['an empty queue', { tickets: 0, high: 0 }, { high: 80, other: 90, all: 100 }],
  ['what is not high leaves room for what is', { tickets: 90, high: 0 }, { high: 10, other: 0, all: 10 }],
  ['high leaves room for the others', { tickets: 80, high: 80 }, { high: 0, other: 20, all: 20 }],
  ['some of both', { tickets: 70, high: 30 }, { high: 30, other: 30, all: 30 }],
  ['a full queue', { tickets: 100, high: 50 }, { high: 0, other: 0, all: 0 }],
  ['more than full', { tickets: 130, high: 130 }, { high: 0, other: 0, all: 0 }],
])('the credits of %s', (_what, occupancy, credits) => {
  expect(creditsOf(100, occupancy)).toEqual(credits);
});
