import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { linesOf, runLine, type Ways } from '../../test/support/cli.js';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { startRedis } from '../../test/support/redis.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../../test/support/synap.js';

let database: TestDatabase;
let synap: SynapProcess;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'synap-doctor-'));
  database = await createTestDatabase();
  synap = await startSynap({ databaseUrl: database.url });
}, 30_000);
afterAll(async () => {
  await synap.stop();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

/** Beside the test's own Synap. */
const cli = (line: readonly string[], ways: Partial<Ways> = {}) =>
  runLine(line, { environment: { JWT_SECRET: testJwtSecret, DATABASE_URL: database.url, SYNAP_DIR: folder }, ...ways });
const here = (...line: readonly string[]) => cli([...line, '--url', synap.url]);

describe('migrate and doctor', () => {
  test('a fresh database is found unmigrated, migrated once, and then healthy', async () => {
    const fresh = await createTestDatabase({ migrated: false });
    const environment = { JWT_SECRET: testJwtSecret, DATABASE_URL: fresh.url, SYNAP_DIR: folder };
    const findings = async () =>
      linesOf((await cli(['doctor', '--json', '--url', synap.url], { environment })).out)[0]?.['findings'];

    expect(await findings()).toContainEqual(
      expect.objectContaining({ part: 'postgres', status: 'fail', advice: 'Run "synap migrate".' }),
    );
    const [first] = linesOf((await cli(['migrate', '--json'], { environment })).out);
    expect(first?.['applied']).toContainEqual(expect.stringMatching(/_spine$/));
    expect((await cli(['migrate'], { environment })).out).toBe('The database is up to date.\n');
    expect(await findings()).toContainEqual(
      expect.objectContaining({ part: 'postgres', status: 'ok', message: expect.stringMatching(/^migrated: /) }),
    );
    await fresh.drop();
  });

  test('doctor fails for a database that would lose what it accepted', async () => {
    // The tests' Postgres runs without fsync: right for tests, and what doctor must not overlook.
    const { code, out } = await here('doctor');
    expect(code).toBe(1);
    expect(out).toContain('fsync is off');
  });

  test('doctor tells every fault of the configuration at once, and checks what it still can', async () => {
    const environment = { JWT_SECRET: 'short', PORT: 'many', DATABASE_URL: database.url, SYNAP_DIR: folder };
    const { code, out } = await cli(['doctor', '--url', synap.url], { environment });
    expect(code).toBe(1);
    expect(out).toMatch(/fail +configuration +PORT/);
    expect(out).toMatch(/fail +configuration +JWT_SECRET must have at least 32 characters/);
    expect(out).toMatch(/ok +postgres +PostgreSQL/);
    expect(out).toContain(`ready at ${synap.url}`);
  });

  test('doctor passes a Redis that keeps everything, and fails one that may evict jobs', async () => {
    const redis = await startRedis();
    const environment = { JWT_SECRET: testJwtSecret, REDIS_URL: redis.url, SYNAP_DIR: folder };
    const redisFindings = async () =>
      (await cli(['doctor', '--url', synap.url], { environment })).out.match(/^.*  redis .*$/gm);
    const client = new Redis(redis.url);
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    expect(await redisFindings()).toEqual([
      expect.stringMatching(/^ok +redis +(Redis|Valkey) \d/),
      expect.stringMatching(/^ok +redis +maxmemory-policy noeviction/),
      expect.stringMatching(/^warn +redis +nothing is persisted/),
    ]);
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await redisFindings()).toContainEqual(
      expect.stringMatching(/^fail +redis +maxmemory-policy is allkeys-lru/),
    );
    client.disconnect();
    await redis.stop();
  });

  test('doctor says what cannot be reached', async () => {
    const environment = {
      DATABASE_URL: 'postgresql://127.0.0.1:1/x',
      REDIS_URL: 'redis://127.0.0.1:1',
      SYNAP_DIR: folder,
    };
    const { code, out } = await cli(['doctor', '--url', 'http://127.0.0.1:1'], { environment });
    expect(code).toBe(1);
    expect(out).toMatch(/fail +postgres +cannot be reached at 127\.0\.0\.1:1/);
    expect(out).toMatch(/fail +redis +cannot be reached at 127\.0\.0\.1:1/);
    expect(out).toMatch(/warn +synap +not running/);
  });
});
