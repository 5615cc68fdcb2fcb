import { describe, expect, test } from '@jest/globals';
import type { Mutation } from './mutation-list.js';
import type { Patch } from './mutant.js';
import { proofRow, prove, runControls, type Proof } from './proof.js';
import type { Result } from './report.js';
import type { Invariant } from './scenario.js';

const patchOf = (file: string): Patch => ({ file, find: 'guard', replace: '' });
const mutation: Mutation = {
  guard: 'the guard',
  where: 'queues/guard',
  without: 'all is lost',
  patches: [patchOf('guard')],
  overlaps: [{ name: 'the other', patches: [patchOf('other')] }],
  scenario: 'a fault',
  expected: ['no-end'],
};

function resultOf(name: string, invariants: readonly Invariant[]): Result {
  const violations = invariants.map((invariant) => ({ invariant, count: 1, example: '' }));
  const counts = { seed: 1, seconds: 1, sent: 1, accepted: 1, shed: 0, maybe: 0, ended: 1, recoveredMs: undefined };
  return { name, ...counts, violations, notes: [], figures: [], kept: undefined };
}

/** Builds by the files that are patched in them; what is not there ends with an error. */
function runsOf(builds: Readonly<Record<string, readonly Invariant[]>>) {
  const run = (patches: readonly Patch[], scenarios: readonly string[]) => {
    const invariants = builds[patches.map(({ file }) => file).join('+')];
    if (invariants === undefined) return Promise.reject(new Error('other has "guard" 0 times'));
    return Promise.resolve(new Map(scenarios.map((name) => [name, resultOf(name, invariants)])));
  };
  return { run };
}

async function tryIt(builds: Readonly<Record<string, readonly Invariant[]>>): Promise<Proof> {
  const runs = runsOf(builds);
  const control = (await runControls(runs, [mutation], () => undefined)).get(mutation);
  if (control === undefined) throw new Error('there was no control');
  return prove(runs, mutation, control);
}

describe('a guard is proven', () => {
  test('where the fault is harmless with it, and without it shows what the guard stands for', async () => {
    const proof = await tryIt({ other: [], 'other+guard': ['undrained', 'no-end'] });
    expect(proof.isProven).toBe(true);
    expect(proofRow(proof)).toBe(
      '| the guard | src/queues/guard.ts | all is lost | a fault | the other | green | `undrained`, `no-end` |',
    );
  });

  test('by no other harm, and by none that the fault does with it as well', async () => {
    for (const builds of [
      { other: [], 'other+guard': [] },
      { other: [], 'other+guard': ['undrained'] },
      { other: ['no-end'], 'other+guard': ['no-end'] },
      { other: ['start-late'], 'other+guard': ['no-end'] },
      { other: [], 'other+guard': ['fault-not-reached', 'no-end'] },
    ] as const) {
      const proof = await tryIt(builds);
      expect(proof.isProven).toBe(false);
      expect(proofRow(proof)).toContain('NOT PROVEN');
    }
  });

  test('by no build that cannot be made and no run that comes to nothing: its line says so', async () => {
    const untried = await tryIt({ other: [] });
    expect(untried.isProven).toBe(false);
    expect(proofRow(untried)).toContain('| green | no verdict: Error: other has "guard" 0 times **NOT PROVEN**');
    const uncontrolled = await tryIt({ 'other+guard': ['no-end'] });
    expect(uncontrolled.isProven).toBe(false);
    expect(proofRow(uncontrolled)).toContain('no verdict: Error: other has "guard" 0 times | `no-end` **NOT PROVEN**');
    const nothing = await prove({ run: () => Promise.resolve(new Map<string, Result>()) }, mutation, {
      violated: [],
      text: 'green',
    });
    expect(nothing.isProven).toBe(false);
    expect(proofRow(nothing)).toContain('no verdict: the run ended before it');
  });
});
