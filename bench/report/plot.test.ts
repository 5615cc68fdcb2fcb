import { describe, expect, test } from '@jest/globals';
import { niceStep, scaleOf } from './axes.ts';
import { colourOf, drawPlot, spread, wrap } from './plot.ts';

describe('an axis', () => {
  test('has round numbers from 0 to beyond the largest', () => {
    const { ticks, place } = scaleOf({ label: '' }, [310, 940]);
    expect(ticks.map(({ label }) => label)).toEqual(['0', '200', '400', '600', '800', '1,000']);
    expect(place(0)).toBe(0);
    expect(place(500)).toBe(0.5);
  });

  test('of one value or of zeros still has two ends', () => {
    expect(scaleOf({ label: '' }, [0, 0]).ticks.map(({ at }) => at)).toEqual([0, 1]);
    expect(scaleOf({ label: '', isLog: true }, [7]).ticks.map(({ at }) => at)).toEqual([5, 10]);
  });

  test('that is logarithmic goes by powers of ten, with few of them by 1, 2 and 5', () => {
    expect(scaleOf({ label: '', isLog: true }, [3, 40]).ticks.map(({ at }) => at)).toEqual([2, 5, 10, 20, 50]);
    expect(scaleOf({ label: '', isLog: true }, [3, 4_000]).ticks.map(({ at }) => at)).toEqual([
      1, 10, 100, 1_000, 10_000,
    ]);
    const { place } = scaleOf({ label: '', isLog: true }, [1, 10_000]);
    expect(place(100)).toBeCloseTo(0.5);
  });

  test.each([
    [0, 1],
    [0.3, 0.5],
    [1, 1],
    [11, 20],
    [51, 100],
  ])('a step of at least %p is %p', (least, step) => {
    expect(niceStep(least)).toBeCloseTo(step);
  });
});

test('names at the ends of curves do not lie on each other, and stay within the frame', () => {
  const ends = [100, 102, 104].map((at, index) => ({ index, name: 'a', at }));
  expect(spread(ends, { top: 0, bottom: 200 }).map(({ at }) => at)).toEqual([100, 115, 130]);
  expect(
    spread(ends, { top: 0, bottom: 110 })
      .map(({ at }) => at)
      .toSorted((a, b) => a - b),
  ).toEqual([80, 95, 110]);
});

test('Synap has the first colour wherever it stands', () => {
  const series = ['bare Express', 'Synap'].map((name) => ({ name, points: [] }));
  expect([0, 1].map((index) => colourOf(series, index))).toEqual(['var(--c1)', 'var(--c0)']);
});

test('a label takes as many lines as its place is wide', () => {
  expect(wrap('DBOS one-step workflow', 100)).toEqual(['DBOS one-step', 'workflow']);
});

test('names are text in the drawing, whatever they hold', () => {
  const svg = drawPlot({
    name: 'a',
    title: 'a < b & c',
    kind: 'bar',
    x: { label: '', categories: ['x'] },
    y: { label: '/s' },
    series: [{ name: 'Synap', points: [[0, 1_234]] }],
  });
  expect(svg).toContain('a &lt; b &amp; c');
  expect(svg).toContain('>1,234<');
});
