import { afterEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createTokens } from '../../src/platform/tokens.js';
import { watchChild } from '../support/children.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { freePort } from '../support/ports.js';
import { createRedisPrefix, redisUrl, startRedis } from '../support/redis.js';
import { eventually, within } from '../support/signals.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../support/synap.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function database(): Promise<TestDatabase> {
  const made = await createTestDatabase();
  cleanups.push(() => made.drop());
  return made;
}

async function start(options: Parameters<typeof startSynap>[0]): Promise<SynapProcess> {
  const started = await startSynap(options);
  cleanups.push(() => started.stop());
  return started;
}

/** The program as somebody starts it who gets something wrong. */
async function startWrongly(env: Record<string, string>): Promise<{ code: number | null; lines: string[] }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'synap-wrong-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  const child = spawn(process.execPath, ['dist/processes/main.js'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_ENV: 'test',
      PINO_PRETTY: 'false',
      LOG_LEVEL: 'warn',
      SYNAP_DIR: directory,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  watchChild(child, 'Synap, started wrongly');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await within(once(child, 'close'), 'the end of the process')) as [number | null];
  return { code, lines: output.trim().split('\n') };
}

async function post(url: string, type: string, data: unknown, requestId: string): Promise<number> {
  const token = await createTokens(testJwtSecret).mint('ada', { expiresInSeconds: 60 });
  const response = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ type, data, requestId }),
  });
  return response.status;
}

const stateOf = async ({ pool }: TestDatabase, requestId: string) =>
  (
    await pool.query<{ state: string; fence: number }>('SELECT state, fence FROM jobs WHERE "requestId" = $1', [
      requestId,
    ])
  ).rows[0];

const whenCompleted = (db: TestDatabase, requestId: string, deadlineMs?: number) =>
  eventually(
    async () => {
      const job = await stateOf(db, requestId);
      return job?.state === 'completed' ? job : undefined;
    },
    `${requestId} to be completed`,
    deadlineMs,
  );

describe('a start that cannot work says why in one line and exits with 1', () => {
  test('a port in use', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as { port: number };
    const { code, lines } = await startWrongly({ PORT: String(port) });
    squatter.close();
    expect({ code, lines }).toEqual({
      code: 1,
      lines: [
        `synap: cannot start: port ${port} on 127.0.0.1 is in use; stop what uses it, or choose another with PORT`,
      ],
    });
  });

  test.each([
    [
      'a URL that is none',
      { DATABASE_URL: 'localhost/db' },
      /^synap: cannot start: DATABASE_URL must look like postgresql:/,
    ],
    [
      'a database out of reach',
      { DATABASE_URL: 'postgresql://u:secret@127.0.0.1:1/db' },
      /^synap: cannot start: PostgreSQL at 127\.0\.0\.1:1\/db is out of reach: /,
    ],
    ['two faults, told at once', { PORT: 'x', LOG_LEVEL: 'loud' }, /^synap: cannot start: PORT .*; LOG_LEVEL /],
    [
      'a part of the roles without Redis',
      { SYNAP_ROLES: 'api' },
      /^synap: cannot start: REDIS_URL is required where SYNAP_ROLES/,
    ],
    [
      'production without its secrets',
      { NODE_ENV: 'production' },
      /^synap: cannot start: DATABASE_URL is required in production; JWT_SECRET is required/,
    ],
  ])('%s', async (_what, env, line) => {
    const { code, lines } = await startWrongly({ PORT: '0', ...env });
    expect({ code, count: lines.length }).toEqual({ code: 1, count: 1 });
    expect(lines[0]).toMatch(line);
    expect(lines[0]).not.toContain('secret');
  });

  test('production on a database that nobody has migrated', async () => {
    const empty = await createTestDatabase({ migrated: false });
    cleanups.push(() => empty.drop());
    const env = { PORT: '0', METRICS_PORT: '0', NODE_ENV: 'production', JWT_SECRET: testJwtSecret };
    const bare = await startWrongly({ ...env, DATABASE_URL: empty.url });
    expect(bare).toEqual({ code: 1, lines: [expect.stringContaining('run "synap migrate" first')] });
    const withoutQueues = await startWrongly({ ...env, DATABASE_URL: (await database()).url });
    expect(withoutQueues).toEqual({ code: 1, lines: [expect.stringContaining("the queues' tables are not there")] });
  });

  test('a Redis out of reach', async () => {
    const db = await database();
    const port = await freePort();
    const { code, lines } = await startWrongly({
      PORT: '0',
      DATABASE_URL: db.url,
      REDIS_URL: `redis://127.0.0.1:${port}`,
    });
    expect(code).toBe(1);
    expect(lines.at(-1)).toMatch(new RegExp(`^synap: cannot start: Redis at 127\\.0\\.0\\.1:${port} `));
  });

  test('a second process without Redis on the same database, whatever its mode', async () => {
    const db = await database();
    await start({ databaseUrl: db.url });
    const alone = await startWrongly({ PORT: '0', DATABASE_URL: db.url });
    expect(alone).toEqual({ code: 1, lines: [expect.stringContaining('without REDIS_URL there can be only one')] });
    const shared = await startWrongly({ PORT: '0', DATABASE_URL: db.url, REDIS_URL: redisUrl() });
    expect(shared).toEqual({
      code: 1,
      lines: [expect.stringContaining('a Synap process without REDIS_URL uses this database')],
    });
  });
});

describe('a process that ends', () => {
  test('by SIGTERM stops cleanly, and the next one goes on with what was accepted', async () => {
    const db = await database();
    const first = await start({ databaseUrl: db.url });
    expect(await post(first.url, 'project.creation.requested', { name: 'One' }, 'one')).toBe(202);
    await whenCompleted(db, 'one');
    expect(await first.stop()).toBe(0);
    const left = await db.pool.query(
      `SELECT (SELECT count(*)::int FROM workers) AS workers, (SELECT count(*)::int FROM outbox) AS outbox`,
    );
    expect(left.rows).toEqual([{ workers: 0, outbox: 0 }]);
    const second = await start({ databaseUrl: db.url });
    expect(await post(second.url, 'project.creation.requested', { name: 'Two' }, 'two')).toBe(202);
    await whenCompleted(db, 'two');
  });

  test('by SIGKILL right after it answered loses nothing', async () => {
    const db = await database();
    const env = { QUEUE_PREFIX: createRedisPrefix() };
    const shared = { databaseUrl: db.url, redisUrl: redisUrl(), env };
    const api = await start({ ...shared, roles: ['api'] });
    const statuses = await Promise.all(
      Array.from({ length: 20 }, (_, n) => post(api.url, 'project.creation.requested', { name: `P${n}` }, `kill-${n}`)),
    );
    await api.kill();
    expect(statuses).toEqual(Array.from({ length: 20 }, () => 202));
    await start({ ...shared, roles: ['worker', 'dispatcher'] });
    await Promise.all(Array.from({ length: 20 }, (_, n) => whenCompleted(db, `kill-${n}`)));
    const { rows } = await db.pool.query('SELECT count(*)::int AS n FROM projects');
    expect(rows).toEqual([{ n: 20 }]);
  });

  test('by SIGKILL in the middle of a job leaves it to another worker, and its steps are not done twice', async () => {
    const db = await database();
    const shared = { databaseUrl: db.url, redisUrl: redisUrl(), env: { QUEUE_PREFIX: createRedisPrefix() } };
    const doomed = await start({ ...shared, roles: ['worker'] });
    const api = await start({ ...shared, roles: ['api', 'dispatcher', 'realtime'] });
    // The job's row is locked by this test, so that the attempt is stopped in its first step.
    const blocker = await db.pool.connect();
    await blocker.query('BEGIN; LOCK TABLE conversation_threads IN ACCESS EXCLUSIVE MODE');
    expect(await post(api.url, 'conversation.message.sent', { content: 'hello' }, 'mid')).toBe(202);
    await eventually(
      async () => ((await stateOf(db, 'mid'))?.state === 'running' ? true : undefined),
      'the attempt to run',
    );
    await doomed.kill();
    await blocker.query('ROLLBACK');
    blocker.release();
    await start({ ...shared, roles: ['worker'] });
    expect(await whenCompleted(db, 'mid', 40_000)).toMatchObject({ fence: 2 });
    const { rows } = await db.pool.query<{ role: string }>('SELECT role FROM conversation_messages ORDER BY role');
    expect(rows.map(({ role }) => role)).toEqual(['user', 'assistant']);
  }, 60_000);
});

describe('while Redis is away', () => {
  test('the api accepts, it and realtime say that they are degraded, and all is done when Redis is back, empty', async () => {
    const db = await database();
    const redis = await startRedis();
    const shared = { databaseUrl: db.url, redisUrl: redis.url, env: { QUEUE_PREFIX: createRedisPrefix() } };
    const api = await start({ ...shared, roles: ['api'] });
    const worker = await start({ ...shared, roles: ['worker'] });
    const realtime = await start({ ...shared, roles: ['realtime'] });
    const dispatcher = await start({ ...shared, roles: ['dispatcher'] });
    await redis.kill();
    const ready = async (url: string) => (await fetch(`${url}/ready`)).status;
    await eventually(async () => ((await ready(worker.url)) === 503 ? true : undefined), 'the worker to be unready');
    expect(await ready(dispatcher.url)).toBe(503);
    for (const { url } of [api, realtime]) {
      expect(await ready(url)).toBe(200);
      expect(await (await fetch(`${url}/ready`)).json()).toMatchObject({ status: 'degraded' });
    }
    for (let n = 0; n < 5; n++)
      expect(await post(api.url, 'project.creation.requested', { name: 'P' }, `away-${n}`)).toBe(202);
    const revived = await startRedis({ port: redis.port });
    cleanups.unshift(() => revived.stop());
    await Promise.all(Array.from({ length: 5 }, (_, n) => whenCompleted(db, `away-${n}`, 20_000)));
    await eventually(
      async () => ((await ready(worker.url)) === 200 ? true : undefined),
      'the worker to be ready again',
    );
  }, 60_000);
});
