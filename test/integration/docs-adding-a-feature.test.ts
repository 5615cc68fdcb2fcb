import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { applyDiff, titledBlocks, type TitledBlock } from '../support/markdown.js';

// The newcomer's walk of docs/adding-a-feature.md, in a copy of the repository.

const run = promisify(execFile);
const repository = process.cwd();
let copy: string;
let parts: readonly string[];

beforeAll(async () => {
  copy = await mkdtemp(path.join(tmpdir(), 'synap-docs-'));
  for (const name of [
    'src',
    'prisma',
    'test/support',
    'package.json',
    'tsconfig.json',
    'prisma.config.ts',
    'jest.config.js',
  ]) {
    await cp(path.join(repository, name), path.join(copy, name), { recursive: true });
  }
  for (const name of ['node_modules', 'dist']) await symlink(path.join(repository, name), path.join(copy, name));
  await writeFile(
    path.join(copy, 'tsconfig.docs.json'),
    '{ "extends": "./tsconfig.json", "include": ["src/features"] }',
  );
  const document = await readFile(path.join(repository, 'docs/adding-a-feature.md'), 'utf8');
  parts = document.split(/^(?=## 6\. )/m);
});
afterAll(() => rm(copy, { recursive: true, force: true }));

async function put({ language, file, text }: TitledBlock): Promise<void> {
  const target = path.join(copy, file);
  const before = await readFile(target, 'utf8').catch(() => '');
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(
    target,
    language === 'diff' ? applyDiff(before, text) : file.endsWith('.prisma') ? `${before}\n${text}` : text,
  );
}

/** Runs one of the repository's tools in the copy; what it wrote is the failure's message. */
async function tool(script: string, ...args: string[]): Promise<void> {
  // The tools find each other on the PATH, as npm's scripts let them.
  const PATH = `${path.join(copy, 'node_modules/.bin')}${path.delimiter}${process.env['PATH'] ?? ''}`;
  const env = { ...process.env, PATH, SYNAP_IS_BUILT: '1', NODE_OPTIONS: '', JEST_WORKER_ID: undefined };
  try {
    await run(process.execPath, ['--experimental-vm-modules', path.join(copy, 'node_modules', script), ...args], {
      cwd: copy,
      env,
    });
  } catch (thrown) {
    const { stdout, stderr } = thrown as { stdout: string; stderr: string };
    throw new Error(`${script} ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: thrown });
  }
}

const typeCheck = () => tool('typescript/bin/tsc', '-p', 'tsconfig.docs.json', '--noEmit');
const runItsTest = () => tool('jest/bin/jest.js', 'src/features/digests', '--maxWorkers=1');

test('a folder and its line are a feature that compiles and runs', async () => {
  const blocks = titledBlocks(parts[0] ?? '');
  const outside = blocks.map(({ file }) => file).filter((file) => !file.startsWith('src/features/digests/'));
  expect(outside).toEqual(['src/features/index.ts']);
  for (const block of blocks) await put(block);
  await typeCheck();
  await runItsTest();
}, 180_000);

test('with a table and read routes of its own it compiles and runs too', async () => {
  for (const block of titledBlocks(parts[1] ?? '')) await put(block);
  await tool('prisma/build/index.js', 'generate');
  await typeCheck();
  await runItsTest();
}, 180_000);
