import { expect, test } from '@jest/globals';
import { blockMeans, slopeOf } from './regression.ts';

test('the slope and its 95 % confidence are those of the textbook', () => {
  // x: 1…5, y: 2, 4, 5, 4, 5: slope 0.6, standard error √(0.8/10), t(3) = 3.18.
  const { slope, margin } = slopeOf([
    [1, 2],
    [2, 4],
    [3, 5],
    [4, 4],
    [5, 5],
  ]);
  expect(slope).toBeCloseTo(0.6);
  expect(margin).toBeCloseTo(3.18 * Math.sqrt(2.4 / 3 / 10));
});

test('what lies on a line has no margin', () => {
  const { slope, margin } = slopeOf([0, 1, 2, 3].map((x) => [x, 7 - 2 * x] as const));
  expect(slope).toBeCloseTo(-2);
  expect(margin).toBeCloseTo(0);
});

test('blocks are means of neighbours; what does not fill one is left out', () => {
  const points = [1, 2, 3, 4, 5].map((x) => [x, 10 * x] as const);
  expect(blockMeans(points, 2)).toEqual([
    [1.5, 15],
    [3.5, 35],
  ]);
});
