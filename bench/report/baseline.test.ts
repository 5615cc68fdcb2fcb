import { expect, test } from '@jest/globals';
import type { Figure } from '../measure.ts';
import { compareWithBaseline, updateBaseline, type Baseline } from './baseline.ts';

const figure = (synap: number, better: Figure['better'], peer = 1): Figure => ({
  id: 'a/b',
  what: 'b',
  unit: '',
  synap,
  better,
  ...(peer !== 0 && { peer: { name: 'the other', value: peer } }),
});
const baseline = (...runs: number[]): Baseline => ({ commit: 'c', at: 't', figures: { 'a/b': runs } });

test('a warning is given in the worse direction only, beyond 15 %', () => {
  expect(compareWithBaseline([figure(86, 'more')], baseline(100))).toEqual([]);
  expect(compareWithBaseline([figure(80, 'more')], baseline(100))).toMatchObject([{ id: 'a/b', now: 80 }]);
  expect(compareWithBaseline([figure(200, 'more')], baseline(100))).toEqual([]);
  expect(compareWithBaseline([figure(114, 'less')], baseline(100))).toEqual([]);
  expect(compareWithBaseline([figure(120, 'less')], baseline(100))).toHaveLength(1);
});

test('with a peer its ratio is compared, so that a slower machine is no warning', () => {
  expect(compareWithBaseline([figure(35, 'more', 50)], baseline(0.7))).toEqual([]);
  expect(compareWithBaseline([figure(35, 'more', 100)], baseline(0.7))).toHaveLength(1);
});

test('a figure without a peer is of its machine alone: it is not compared', () => {
  expect(compareWithBaseline([figure(1, 'more', 0)], baseline(100))).toEqual([]);
  expect(updateBaseline([figure(1, 'more', 0)], undefined, { commit: 'd', at: 'u' }).figures).toEqual({});
});

test('a figure may stray as far as its own runs lie apart', () => {
  expect(compareWithBaseline([figure(70, 'more')], baseline(100, 66, 104))).toEqual([]);
  expect(compareWithBaseline([figure(60, 'more')], baseline(100, 66, 104))).toHaveLength(1);
});

test('a new run joins the last four, and what did not run keeps its own', () => {
  const before: Baseline = { commit: 'c', at: 't', figures: { 'a/b': [1, 2, 3, 4, 5], other: [9] } };
  // Of the run's report nothing else is kept.
  const run = { commit: 'd', at: 'u', measures: [] };
  expect(updateBaseline([figure(6, 'more')], before, run)).toEqual({
    commit: 'd',
    at: 'u',
    figures: { 'a/b': [2, 3, 4, 5, 6], other: [9] },
  });
});
