import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { pino } from 'pino';
import { watchChild } from '../../test/support/children.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.js';

const logger = pino({ level: 'silent' });
const isRoot = process.getuid?.() === 0;
let root: string;
let directory: string;
let running: EmbeddedPostgres[];

// Everything here is synced to the disk, which is slow while other tests keep it busy.
jest.setTimeout(60_000);

// Made once and copied: most tests are about what comes after the first start.
let madeRoot: string;
beforeAll(async () => {
  madeRoot = await mkdtemp(path.join(tmpdir(), 'synap-embedded-made-'));
  await chmod(madeRoot, 0o711);
  await (await startEmbeddedPostgres({ directory: path.join(madeRoot, 'postgres'), logger })).stop();
});
afterAll(() => rm(madeRoot, { recursive: true, force: true }));

async function copyMade(): Promise<void> {
  await promisify(execFile)('cp', ['-a', path.join(madeRoot, 'postgres'), directory]);
}

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'synap-embedded-'));
  await chmod(root, 0o711);
  directory = path.join(root, 'postgres');
  running = [];
});
afterEach(async () => {
  for (const postgres of running) await postgres.stop();
  await rm(root, { recursive: true, force: true });
});

async function start(): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ directory, logger });
  running.push(postgres);
  return postgres;
}

async function query(databaseUrl: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(text);
    return result.rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

async function postmasterPid(): Promise<number> {
  return Number.parseInt(await readFile(path.join(directory, 'data/postmaster.pid'), 'utf8'), 10);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('an embedded Postgres', () => {
  test('keeps its data and its address across restarts, and leaves no process behind', async () => {
    const first = await start();
    await query(first.databaseUrl, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const pid = await postmasterPid();
    await Promise.all([first.stop(), first.stop()]);
    expect(isRunning(pid)).toBe(false);

    const second = await start();
    expect(second.databaseUrl).toBe(first.databaseUrl);
    expect(await query(second.databaseUrl, 'SELECT answer FROM kept')).toEqual([42]);
  });

  test('is durable, in UTC and UTF-8, and reachable from this machine only', async () => {
    await copyMade();
    const { databaseUrl } = await start();
    const settings = await query(
      databaseUrl,
      `SELECT name || '=' || setting FROM pg_settings WHERE name IN
        ('fsync', 'synchronous_commit', 'full_page_writes', 'TimeZone', 'server_encoding', 'listen_addresses') ORDER BY name`,
    );
    expect(settings).toEqual([
      'TimeZone=UTC',
      'fsync=on',
      'full_page_writes=on',
      'listen_addresses=127.0.0.1',
      'server_encoding=UTF8',
      'synchronous_commit=on',
    ]);
  });

  test('has a password that only its owner can read', async () => {
    await copyMade();
    const { databaseUrl } = await start();
    expect((await stat(path.join(directory, 'password'))).mode & 0o777).toBe(0o600);
    const url = new URL(databaseUrl);
    url.password = 'guessed';
    await expect(query(url.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
  });

  test('goes to another port when its own was taken meanwhile', async () => {
    await copyMade();
    const first = await start();
    await first.stop();
    const squatter = createServer().listen(Number(new URL(first.databaseUrl).port), '127.0.0.1');
    await once(squatter, 'listening');
    const second = await start();
    squatter.close();
    expect(new URL(second.databaseUrl).port).not.toBe(new URL(first.databaseUrl).port);
    expect(await query(second.databaseUrl, 'SELECT 1')).toEqual([1]);
  });
});

describe('after a start that went wrong', () => {
  test('what an interrupted creation left is thrown away', async () => {
    await mkdir(path.join(directory, 'data.unfinished/base'), { recursive: true });
    await writeFile(path.join(directory, 'data.unfinished/PG_VERSION'), '18\n');
    await writeFile(path.join(directory, 'password'), 'of the interrupted start');
    const { databaseUrl } = await start();
    expect(await query(databaseUrl, 'SELECT 1')).toEqual([1]);
    expect(await readdir(directory)).not.toContain('data.unfinished');
  });

  test('the server of a killed Synap is ended, and its data is there', async () => {
    await copyMade();
    const parent = spawn(process.execPath, ['--input-type=module', '-e', holdServer], {
      env: { ...process.env, DIRECTORY: directory, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    watchChild(parent, 'the Synap to be killed');
    await once(parent.stdout, 'data');
    const orphan = await postmasterPid();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    expect(isRunning(orphan)).toBe(true);

    const { databaseUrl } = await start();
    expect(isRunning(orphan)).toBe(false);
    expect(await query(databaseUrl, 'SELECT answer FROM kept')).toEqual([7]);
  });

  test('a killed server recovers', async () => {
    await copyMade();
    const first = await start();
    await query(first.databaseUrl, 'CREATE TABLE kept AS SELECT 42 AS answer');
    process.kill(await postmasterPid(), 'SIGKILL');
    await first.stop();
    const second = await start();
    expect(await query(second.databaseUrl, 'SELECT answer FROM kept')).toEqual([42]);
  });

  test('a stale pid file whose number another program has by now is no obstacle, and that program is left alone', async () => {
    await copyMade();
    const first = await start();
    await first.stop();
    await writeFile(path.join(directory, 'data/postmaster.pid'), `${process.pid}\n${directory}\n`);
    const second = await start();
    expect(await query(second.databaseUrl, 'SELECT 1')).toEqual([1]);
  });
});

test('a second Synap in the same directory is told who has it', async () => {
  await copyMade();
  await start();
  await expect(start()).rejects.toMatchObject({
    code: 'start_failed',
    message: expect.stringContaining(`another Synap (process ${process.pid})`),
  });
});

const testAsRoot = isRoot ? test : test.skip;
testAsRoot('started by root where only root can enter, it keeps its data elsewhere', async () => {
  await chmod(root, 0o700);
  const { databaseUrl } = await start();
  const [dataDir] = await query(databaseUrl, 'SHOW data_directory');
  expect(dataDir).toMatch(/^\/var\/lib\/synap-/);
  expect(await query(databaseUrl, 'SELECT 1')).toEqual([1]);
  await running.pop()?.stop();
  await rm(path.dirname(String(dataDir)), { recursive: true });
});

const holdServer = `
  import pg from 'pg';
  import { pino } from 'pino';
  import { startEmbeddedPostgres } from './dist/platform/embedded-postgres.js';
  const { databaseUrl } = await startEmbeddedPostgres({ directory: process.env.DIRECTORY, logger: pino({ level: 'silent' }) });
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query('CREATE TABLE kept AS SELECT 7 AS answer');
  console.log('ready');
`;
