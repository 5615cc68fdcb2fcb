import { afterAll, beforeAll, test } from '@jest/globals';
import { titledBlocks } from '../support/markdown.js';
import { copyRepository, readDocument, type RepositoryCopy } from '../support/repository-copy.js';

// The examples of docs/testing-handlers.md, in a copy of the repository.

let copy: RepositoryCopy;
beforeAll(async () => {
  copy = await copyRepository();
  for (const block of titledBlocks(await readDocument('testing-handlers.md'))) await copy.put(block);
});
afterAll(() => copy.remove());

test('the example compiles and passes', async () => {
  await copy.typeCheck();
  await copy.tool('jest/bin/jest.js', 'src/features/conversations/testing-handlers', '--maxWorkers=1');
}, 180_000);

test('the kit works with another runner, as the package that others import', async () => {
  await copy.node('--test', 'kit.test.mjs');
}, 60_000);
