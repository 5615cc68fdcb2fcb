import { afterEach, describe, expect, test } from '@jest/globals';
import { createTokens } from '../../src/platform/tokens.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { createRedisPrefix, redisUrl } from '../support/redis.js';
import { eventually } from '../support/signals.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../support/synap.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

type How = 'exit' | 'kill' | 'loop' | 'hog' | 'fail' | 'wait' | 'work';

async function prepare(more: Readonly<Record<string, string>> = {}) {
  const database = await createTestDatabase();
  cleanups.push(() => database.drop());
  const env = { QUEUE_PREFIX: createRedisPrefix(), SHUTDOWN_TIMEOUT_MS: '6000', ...more };
  const options = { databaseUrl: database.url, redisUrl: redisUrl(), env, entry: 'test/support/program/main.ts' };
  const { redisUrl: _none, ...alone } = options;
  return {
    database,
    async startAlone(): Promise<SynapProcess> {
      const started = await startSynap(alone);
      cleanups.push(() => started.stop());
      return started;
    },
    async start(roles?: readonly string[]): Promise<SynapProcess> {
      const started = await startSynap({ ...options, ...(roles !== undefined && { roles }) });
      cleanups.push(() => started.stop());
      return started;
    },
  };
}

async function post(url: string, how: How, ms = 0): Promise<string> {
  const token = await createTokens(testJwtSecret).mint('ada', { expiresInSeconds: 600 });
  const response = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ type: 'poison.run.requested', data: { how, ms } }),
  });
  expect(response.status).toBe(202);
  return ((await response.json()) as { eventId: string }).eventId;
}

interface JobRow {
  readonly state: string;
  readonly crashes: number;
  readonly fence: number;
  readonly lastError: { readonly code: string } | null;
}

async function jobOf({ pool }: TestDatabase, id: string): Promise<JobRow> {
  const { rows } = await pool.query<JobRow>('SELECT state, crashes, fence, "lastError" FROM jobs WHERE id = $1', [id]);
  return rows[0]!;
}

const untilState = (database: TestDatabase, id: string, state: string, deadlineMs: number) =>
  eventually(
    async () => {
      const job = await jobOf(database, id);
      return job.state === state ? job : undefined;
    },
    `${id} to be ${state}`,
    deadlineMs,
  );

const setCrashes = ({ pool }: TestDatabase, ids: readonly string[], crashes: number) =>
  pool.query('UPDATE jobs SET crashes = $2 WHERE id = ANY($1)', [ids, crashes]);

const crashRows = async ({ pool }: TestDatabase, id: string) =>
  (
    await pool.query<{ attempt: number; code: string }>(
      `SELECT attempt, error->>'code' AS code FROM failed_attempts WHERE "jobId" = $1 ORDER BY attempt`,
      [id],
    )
  ).rows;

/** Jobs that are accepted from now on have ended their process so often already. */
const bornWithCrashes = ({ pool }: TestDatabase, crashes: number) =>
  pool.query(
    `CREATE FUNCTION crashed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.crashes = ${crashes}; RETURN NEW; END $$;
     CREATE TRIGGER crashed BEFORE INSERT ON jobs FOR EACH ROW WHEN (NEW.queue = 'poison.run.requested') EXECUTE FUNCTION crashed()`,
  );

/** The children take their rows with them; the worker's own stays. */
const untilAloneAgain = ({ pool }: TestDatabase) =>
  eventually(
    async () => ((await pool.query('SELECT FROM workers')).rowCount === 1 ? true : undefined),
    'one worker to be left',
  );

describe('a job that ends its process', () => {
  test('ends as a dead letter after two shared and three lonely crashes, and those beside it complete', async () => {
    const { database, start } = await prepare();
    const api = await start(['api', 'dispatcher', 'realtime']);
    const poison = await post(api.url, 'kill');
    const innocents = await Promise.all(Array.from({ length: 4 }, () => post(api.url, 'work', 300)));
    // All have crashed once already, so that the one shared crash that follows is the second.
    await setCrashes(database, [poison, ...innocents], 1);
    const doomed = await start(['worker']);
    await eventually(
      async () => ((await jobOf(database, poison)).crashes === 2 ? true : undefined),
      'the shared crash',
    );
    await doomed.kill();
    const worker = await start(['worker']);
    const dead = await untilState(database, poison, 'dead', 60_000);
    expect(dead).toMatchObject({ fence: 5, lastError: { code: 'crash_loop' } });
    expect(await crashRows(database, poison)).toEqual([
      ...[1, 2, 3, 4].map((attempt) => ({ attempt, code: 'crashed' })),
      { attempt: 5, code: 'crash_loop' },
    ]);
    await Promise.all(innocents.map((id) => untilState(database, id, 'completed', 30_000)));
    const { rows } = await database.pool.query('SELECT count(*)::int AS n FROM dead_letters');
    expect(rows).toEqual([{ n: 1 }]);
    // The worker outlived all of it.
    expect((await fetch(`${worker.url}/ready`)).status).toBe(200);
  }, 120_000);

  test.each<[How, string, number, Record<string, string>]>([
    ['exit', 'code 7', 2, {}],
    ['loop', 'SIGKILL', 4, { WATCHDOG_TIMEOUT_MS: '5000' }],
    ['hog', 'SIGABRT', 4, { ISOLATED_MEMORY_MB: '96' }],
  ])(
    'alone (%s, ended by %s) harms nobody and ends as a dead letter',
    async (how, end, crashes, env) => {
      const { database, start } = await prepare(env);
      const worker = await start();
      const innocents = await Promise.all(Array.from({ length: 3 }, () => post(worker.url, 'work', 2_000)));
      await bornWithCrashes(database, crashes);
      const poison = await post(worker.url, how);
      await Promise.all(innocents.map((id) => untilState(database, id, 'completed', 60_000)));
      const lonely = 5 - crashes;
      expect(await untilState(database, poison, 'dead', 120_000)).toMatchObject({
        fence: lonely + 1,
        lastError: { code: 'crash_loop' },
      });
      await untilAloneAgain(database);
      expect((await fetch(`${worker.url}/ready`)).status).toBe(200);
      const ends = worker.logs.items.flatMap((line) => (line['jobId'] === poison ? [line['end']] : []));
      expect(ends).toEqual(Array.from({ length: lonely }, () => end));
      expect(worker.logs.items.some(({ msg }) => msg.includes('watchdog'))).toBe(how === 'loop');
      // Counted where it is scraped.
      const metrics = await (await fetch(`${worker.metricsUrl}/metrics`)).text();
      expect(metrics).toMatch(/dead_letters_total\{queue="poison.run.requested"\} 1/);
    },
    180_000,
  );

  test('on a single node, which has neither Redis nor another process, does not end the node', async () => {
    const { database, startAlone } = await prepare();
    const node = await startAlone();
    await bornWithCrashes(database, 4);
    const poison = await post(node.url, 'kill');
    expect(await untilState(database, poison, 'dead', 60_000)).toMatchObject({ fence: 2 });
    expect((await fetch(`${node.url}/ready`)).status).toBe(200);
  }, 90_000);
});

describe('a job that runs alone', () => {
  test('and ends well is told like any other: its event is handled, its log, its metric and its crashes forgotten', async () => {
    const { database, start } = await prepare();
    const worker = await start();
    await bornWithCrashes(database, 2);
    const id = await post(worker.url, 'work');
    expect(await untilState(database, id, 'completed', 20_000)).toMatchObject({ fence: 1, crashes: 0 });
    const { rows } = await database.pool.query<{ name: string }>('SELECT name FROM projects WHERE id = $1', [id]);
    expect(rows[0]?.name).toMatch(/^alone \d+$/);
    expect(rows[0]?.name).not.toBe(`alone ${worker.pid}`);
    await eventually(async () => {
      const echo = await database.pool.query(
        `SELECT FROM jobs WHERE queue = 'poison.echo.requested' AND state = 'completed'`,
      );
      return echo.rowCount === 1 ? true : undefined;
    }, 'what it emitted to be handled');
    const metrics = await (await fetch(`${worker.metricsUrl}/metrics`)).text();
    expect(metrics).toMatch(/jobs_processed_total\{queue="poison.run.requested",outcome="completed"\} 1/);
    await untilAloneAgain(database);
  }, 60_000);

  test('and fails is tried again, back among the others', async () => {
    const { database, start } = await prepare();
    const worker = await start();
    await bornWithCrashes(database, 2);
    const id = await post(worker.url, 'fail');
    await untilState(database, id, 'dead', 20_000);
    expect(await crashRows(database, id)).toMatchObject([{ code: 'handler_failed' }, { code: 'handler_failed' }]);
    const { rows } = await database.pool.query<{ name: string }>(`SELECT name FROM steps WHERE "jobId" = $1`, [id]);
    expect(rows.map(({ name }) => name).toSorted()).toEqual(['started-alone', 'started-beside']);
  }, 60_000);

  test('is interrupted when its worker stops, at no cost', async () => {
    const { database, start } = await prepare();
    const worker = await start();
    await bornWithCrashes(database, 2);
    const id = await post(worker.url, 'wait', 60_000);
    await eventually(
      async () => ((await jobOf(database, id)).state === 'running' ? true : undefined),
      'it to run',
      20_000,
    );
    expect(await worker.stop()).toBe(0);
    expect(await jobOf(database, id)).toMatchObject({ state: 'queued', crashes: 0 });
  }, 90_000);

  test('goes on when its worker is killed, and what it committed stands', async () => {
    const { database, start } = await prepare();
    const api = await start(['api', 'dispatcher', 'realtime']);
    const id = await post(api.url, 'work', 3_000);
    await setCrashes(database, [id], 2);
    const worker = await start(['worker']);
    await eventually(
      async () => ((await jobOf(database, id)).state === 'running' ? true : undefined),
      'it to run',
      20_000,
    );
    await worker.kill();
    expect(await untilState(database, id, 'completed', 20_000)).toMatchObject({ fence: 1 });
    await eventually(async () => {
      const { rows } = await database.pool.query<{ behind: number }>(
        'SELECT count(*)::int AS behind FROM rooms WHERE "publishedSeq" < "lastSeq"',
      );
      return rows[0]?.behind === 0 ? true : undefined;
    }, 'its notification to be published by the sweeper');
  }, 90_000);
});
