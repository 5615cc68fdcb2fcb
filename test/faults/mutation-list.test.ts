import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { mutations as ofReaders } from '../jitter/mutation-list.js';
import { patched, type Patch } from './mutant.js';
import { mutations } from './mutation-list.js';

const src = path.resolve(import.meta.dirname, '../../src');

/** In this order, as they are applied: each to what those before it have left. */
async function apply(patches: readonly Patch[]): Promise<void> {
  const texts = new Map<string, string>();
  for (const patch of patches) {
    const text = texts.get(patch.file) ?? (await readFile(path.join(src, `${patch.file}.ts`), 'utf8'));
    texts.set(patch.file, patched(text, patch));
  }
}

test.each(mutations.map((mutation) => [mutation.guard, mutation] as const))(
  'the fault suite can take out: %s',
  async (_guard, { patches, overlaps = [], where }) => {
    await apply([...overlaps.flatMap((overlap) => overlap.patches), ...patches]);
    await access(path.join(src, `${where}.ts`));
  },
);

test.each(ofReaders.map((mutation) => [mutation.guard, mutation] as const))(
  'the jitter run can take out: %s',
  async (_guard, { patches }) => {
    await apply(patches);
  },
);

test('each guard is taken out for a fault that there is', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    path.join(import.meta.dirname, 'main.ts'),
    '--list',
  ]);
  const names = new Set(['no fault', ...stdout.split('\n')]);
  expect(mutations.filter(({ scenario }) => !names.has(scenario)).map(({ guard }) => guard)).toEqual([]);
});

test('a patch that fits nowhere, or twice, is refused', () => {
  const patch = { file: 'a', find: 'guard', replace: '' };
  expect(patched('a guard b', patch)).toBe('a  b');
  expect(() => patched('a b', patch)).toThrow('0 times');
  expect(() => patched('guard guard', patch)).toThrow('2 times');
});
