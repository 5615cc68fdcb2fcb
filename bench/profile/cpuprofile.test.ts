import { expect, test } from '@jest/globals';
import { foldProfile, ownerOf, timeByOwner, type CpuProfile } from './cpuprofile.ts';
import { drawFlame } from './flame.ts';

const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 9 });
const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 3, 5] },
    { id: 2, callFrame: frame('(idle)') },
    { id: 3, callFrame: frame('run', 'file:///synap/dist/execution/executor.js'), children: [4] },
    { id: 4, callFrame: frame('query', 'file:///synap/node_modules/pg/lib/client.js') },
    // The same function, optimized: V8 has two nodes for one.
    { id: 5, callFrame: frame('run', 'file:///synap/dist/execution/executor.js') },
  ],
  startTime: 1_000,
  endTime: 1_500,
  samples: [3, 4, 2, 5, 4],
  timeDeltas: [0, 100, 100, 100, 100],
};

test('a profile becomes one tree, without what was idle', () => {
  const root = foldProfile(profile);
  expect(root.totalUs).toBe(300);
  expect(root.children.map(({ name, totalUs, selfUs }) => [name, totalUs, selfUs])).toEqual([['run', 300, 200]]);
  expect(root.children[0]?.children.map(({ name, place }) => [name, place])).toEqual([
    ['query', 'pg/lib/client.js:10'],
  ]);
});

test('only the samples within the window count', () => {
  expect(foldProfile(profile, 1_050, 1_250).totalUs).toBe(100);
});

test('time is counted by whose code it was spent in', () => {
  expect([...timeByOwner(foldProfile(profile))]).toEqual([
    ['src/execution', 200],
    ['pg', 100],
  ]);
});

test.each([
  ['file:///x/node_modules/@dbos-inc/dbos-sdk/dist/a.js', '@dbos-inc/dbos-sdk'],
  ['node:net', 'node'],
  ['file:///x/.synap/bench/bench-app-main-ts.mjs', 'the handlers'],
  ['', 'engine'],
])('the code of %p is that of %p', (url, owner) => {
  expect(ownerOf(frame('a', url))).toBe(owner);
});

test('the flame graph names what is wide enough', () => {
  expect(drawFlame('a worker', foldProfile(profile))).toContain('>run<');
});
