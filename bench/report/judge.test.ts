import { describe, expect, test } from '@jest/globals';
import type { Aim, Figure } from '../measure.ts';
import { median, medianRatio } from '../rounds.ts';
import { judge, ratioOf } from './judge.ts';

const figure = (aim?: Aim): Figure => ({
  id: 'a/b',
  what: 'b',
  unit: '/s',
  synap: 60,
  peer: { name: 'the other', value: 100 },
  ...(aim !== undefined && { aim }),
  better: 'more',
});

describe('an aim', () => {
  test.each([
    ['at its bound', { text: '≥ 0.6 ×', judged: 0.6, atLeast: 0.6 }, 'met'],
    ['below it', { text: '≥ 0.6 ×', judged: 0.599, atLeast: 0.6 }, 'missed'],
    ['of at most', { text: '≤ 50 ms', judged: 50, atMost: 50 }, 'met'],
    ['over it', { text: '≤ 50 ms', judged: 50.1, atMost: 50 }, 'missed'],
    ['that could not be measured', { text: '≤ 50 ms', judged: Number.NaN, atMost: 50 }, 'missed'],
  ] as const)('%s', (_, aim, verdict) => {
    expect(judge(figure(aim), {})).toBe(verdict);
  });

  test('that is missed with a measured reason is a limit, one that is met is not', () => {
    const limits = { 'a/b': { reason: 'the disk', noWorseThan: 0.4 } };
    expect(judge(figure({ text: '≥ 0.6 ×', judged: 0.5, atLeast: 0.6 }), limits)).toBe('limit');
    expect(judge(figure({ text: '≥ 0.6 ×', judged: 0.7, atLeast: 0.6 }), limits)).toBe('met');
    expect(judge(figure(), limits)).toBe('shown');
  });

  test('that is missed by more than its limit says is missed', () => {
    const limits = { 'a/b': { reason: 'the disk', noWorseThan: 0.4 } };
    expect(judge(figure({ text: '≥ 0.6 ×', judged: 0.39, atLeast: 0.6 }), limits)).toBe('missed');
    const slower = { 'a/b': { reason: 'the disk', noWorseThan: 80 } };
    expect(judge(figure({ text: '≤ 50 ms', judged: 79, atMost: 50 }), slower)).toBe('limit');
    expect(judge(figure({ text: '≤ 50 ms', judged: 81, atMost: 50 }), slower)).toBe('missed');
    expect(judge(figure({ text: '≤ 50 ms', judged: Number.NaN, atMost: 50 }), slower)).toBe('missed');
  });

  test('gives the ratio of its rounds, a difference does not', () => {
    expect(ratioOf(figure({ text: '≥ 0.6 ×', judged: 0.61, atLeast: 0.6 }))).toBe(0.61);
    expect(ratioOf(figure({ text: '≤ its p50 + 5 ms', judged: 3, atMost: 5 }))).toBe(0.6);
  });
});

test('the median ratio is that of neighbours, not of medians', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  // A machine that became ten times slower in the second round: each round says a half.
  expect(medianRatio([50, 5, 40], [100, 10, 80])).toBe(0.5);
});
