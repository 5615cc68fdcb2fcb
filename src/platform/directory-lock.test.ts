import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { acquireDirectoryLock } from './directory-lock.js';

let root: string;
let file: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'synap-lock-'));
  file = path.join(root, 'lock');
});
afterEach(() => rm(root, { recursive: true }));

test('a released lock can be taken again', async () => {
  const lock = await acquireDirectoryLock(file);
  await expect(acquireDirectoryLock(file)).rejects.toMatchObject({ code: 'start_failed' });
  await lock.release();
  await (await acquireDirectoryLock(file)).release();
});

test('a lock whose process is gone is free, also when another process has its number by now', async () => {
  for (const stale of ['999999999 1 boot\n', `${process.pid} 1 another-boot\n`, 'not a lock at all', '']) {
    await writeFile(file, stale);
    const lock = await acquireDirectoryLock(file);
    expect(await readFile(file, 'utf8')).toMatch(new RegExp(`^${process.pid} `));
    await lock.release();
  }
});

test('of many that find a stale lock one gets it', async () => {
  await writeFile(file, '999999999 1 boot\n');
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquireDirectoryLock(file)));
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
});

test('a lock that somebody else holds by now is not released', async () => {
  const lock = await acquireDirectoryLock(file);
  await writeFile(file, 'of somebody else');
  await lock.release();
  expect(await readFile(file, 'utf8')).toBe('of somebody else');
});
