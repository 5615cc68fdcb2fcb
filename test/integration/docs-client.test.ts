import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { createTokens } from '../../src/platform/tokens.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { titledBlocks } from '../support/markdown.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../support/synap.js';

// docs/client.md: its files are written to a folder, as a reader would, and run against a real Synap.

const run = promisify(execFile);
const tokens = createTokens(testJwtSecret);
const runOnce = new Set<string>();
let folder: string;
let files: readonly string[];
let database: TestDatabase;
let synap: SynapProcess;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'synap-docs-client-'));
  await mkdir(path.join(folder, 'node_modules'));
  await symlink(process.cwd(), path.join(folder, 'node_modules/synap'));
  const blocks = titledBlocks(await readFile('docs/client.md', 'utf8'));
  for (const { file, text } of blocks) await writeFile(path.join(folder, file), text);
  files = blocks.map(({ file }) => file);
  database = await createTestDatabase();
  synap = await startSynap({ databaseUrl: database.url });
}, 40_000);
afterAll(async () => {
  await synap.stop();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

async function output(file: string): Promise<string[]> {
  runOnce.add(file);
  const TOKEN = await tokens.mint('ada', { expiresInSeconds: 60 });
  const env = { PATH: process.env['PATH'], SYNAP_URL: synap.url, TOKEN };
  const { stdout } = await run(process.execPath, [file], { cwd: folder, env, timeout: 15_000 });
  return stdout.trim().split('\n');
}

test('an event is sent and waited for', async () => {
  expect(await output('first.mjs')).toEqual(['accepted: true', 'success note.creation.completed Hello']);
});

test('a request is shown while it is under way', async () => {
  const lines = await output('request.mjs');
  expect(lines.some((line) => line.startsWith('processing'))).toBe(true);
  expect(lines.at(-1)).toMatch(/offline assistant/);
});

test('a room is followed', async () => {
  const [reset, ...heard] = await output('follow.mjs');
  expect(reset).toBe('load what you show: first');
  expect(heard.at(-1)).toMatch(/^\d+ project\.creation\.completed$/);
});

test('the states and a refusal', async () => {
  expect(await output('state.mjs')).toEqual(['connected', 'true validation_failed data.title', 'closed']);
});

test('every file of the document was run', () => {
  expect(files.filter((file) => !runOnce.has(file))).toEqual([]);
});
