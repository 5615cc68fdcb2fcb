import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { titledBlocks } from '../support/markdown.js';
import { copyRepository, readDocument, type RepositoryCopy } from '../support/repository-copy.js';

// The newcomer's walk of docs/adding-a-feature.md, in a copy of the repository.

let copy: RepositoryCopy;
let parts: readonly string[];

beforeAll(async () => {
  copy = await copyRepository();
  parts = (await readDocument('adding-a-feature.md')).split(/^(?=## 6\. )/m);
});
afterAll(() => copy.remove());

const runItsTest = () => copy.tool('jest/bin/jest.js', 'src/features/digests', '--maxWorkers=1');

test('a folder and its line are a feature that compiles and runs', async () => {
  const blocks = titledBlocks(parts[0] ?? '');
  const outside = blocks.map(({ file }) => file).filter((file) => !file.startsWith('src/features/digests/'));
  expect(outside).toEqual(['src/features/index.ts']);
  for (const block of blocks) await copy.put(block);
  await copy.typeCheck();
  await runItsTest();
}, 180_000);

test('with a table and read routes of its own it compiles and runs too', async () => {
  for (const block of titledBlocks(parts[1] ?? '')) await copy.put(block);
  await copy.tool('prisma/build/index.js', 'generate');
  await copy.typeCheck();
  await runItsTest();
}, 180_000);
