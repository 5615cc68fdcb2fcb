import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { startStack, type Stack } from '../support/stack.js';

const run = promisify(execFile);
let stack: Stack;
beforeAll(async () => {
  stack = await startStack('single node');
}, 30_000);
afterAll(() => stack.stop());

test('the line that the README shows is answered with an acceptance', async () => {
  const readme = await readFile('README.md', 'utf8');
  const curl = /```sh\n(curl[^`]*)```/.exec(readme)?.[1] ?? '';
  const script = curl
    .replace('http://localhost:3000', stack.apiUrl)
    .replace('<the token it printed>', await stack.token('demo'));
  const { stdout } = await run('bash', ['-c', script]);
  expect(JSON.parse(stdout)).toMatchObject({ status: 'accepted', links: { request: expect.any(String) } });
});

test.each(['README.md', 'ARCHITECTURE.md'])('every file that %s names is there', async (document) => {
  const text = await readFile(document, 'utf8');
  const named = new Set(text.match(/\b(?:src|docs|test|bin|prisma|docker)\/[\w./-]*\w(?:\.\w+)?/g));
  const missing = await Promise.all(
    [...named].map((file) =>
      stat(file).then(
        () => undefined,
        () => file,
      ),
    ),
  );
  expect(missing.filter((file) => file !== undefined)).toEqual([]);
});
