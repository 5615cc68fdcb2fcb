import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { startApi, type TestApi } from '../support/api.js';
import { startProxy, type InterruptibleProxy } from '../support/interruptible-proxy.js';
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.js';
import { eventually, within } from '../support/signals.js';

jest.setTimeout(40_000);

let postgres: OwnPostgres;
let proxy: InterruptibleProxy;
let api: TestApi;

beforeAll(async () => {
  postgres = await startOwnPostgres();
});
afterAll(() => postgres.remove());

const queryTimeoutMs = 4_000;

beforeEach(async () => {
  proxy = await startProxy(postgres.databaseUrl);
  const url = new URL(postgres.databaseUrl);
  url.port = new URL(proxy.url).port;
  api = await startApi({
    databaseUrl: url.href,
    env: { DB_POOL_MAX: '6', DB_QUERY_TIMEOUT_MS: String(queryTimeoutMs) },
  });
  api.deps.health.add({ name: 'postgres', run: () => api.deps.database.ping().then(() => 'ok' as const) });
  await untilAccepted(5_000);
  // The first read loads Prisma's compiler, which takes its time.
  await read();
});
afterEach(async () => {
  proxy.thaw();
  await api.close();
  await proxy.close();
});

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfter: string | null;
  readonly ms: number;
}

async function call(path: string, options: Parameters<TestApi['call']>[1]): Promise<Answer> {
  const startedAt = performance.now();
  const response = await api.call(path, options);
  const body = (await response.json()) as { code?: string };
  const retryAfter = response.headers.get('retry-after');
  return { status: response.status, code: body.code, retryAfter, ms: performance.now() - startedAt };
}

const json = { type: 'note.creation.requested', data: { title: 't', content: 'c' } };
const post = (): Promise<Answer> => call('/v1/events', { user: 'ada', json });
const read = (): Promise<Answer> => call('/v1/notes', { user: 'ada' });
const ready = async (): Promise<number> => (await api.call('/ready')).status;
const unavailable = { status: 503, code: 'unavailable', retryAfter: '1' };

/** Posts until one is accepted, one after the other; every answer before is a 503. */
async function untilAccepted(withinMs: number): Promise<void> {
  await eventually(
    async () => {
      const answer = await post();
      if (answer.status === 202) return true;
      expect(answer.status).toBe(503);
      return undefined;
    },
    'a 202',
    withinMs,
  );
}

/** Posts until one is refused at once; those that are let in wait, and are added to `waiting`. */
function untilShed(waiting: Promise<Answer>[]): Promise<Answer> {
  return eventually(async () => {
    const answer = post();
    waiting.push(answer);
    const quick = await within(answer, 'an answer', 200).catch(() => undefined);
    return quick?.status === 503 ? quick : undefined;
  }, 'load to be shed');
}

const countEvents = async (): Promise<number> =>
  (await postgres.query<{ n: number }>('SELECT count(*)::int AS n FROM events'))[0]?.n ?? 0;

test('with Postgres down every call is refused at once with 503 and Retry-After, and works again when it is back', async () => {
  await postgres.stop();
  try {
    for (let n = 0; n < 10; n++) {
      for (const answer of [await post(), await read()]) {
        expect(answer).toMatchObject(unavailable);
        expect(answer.ms).toBeLessThan(1_000);
      }
    }
    expect(await ready()).toBe(503);
  } finally {
    await postgres.start();
  }
  await untilAccepted(3_000);
  expect((await read()).status).toBe(200);
  expect(await ready()).toBe(200);
});

test('with Postgres frozen a call is refused within seconds and the next ones at once; thawed, it works again', async () => {
  const before = await countEvents();
  proxy.freeze();
  // The statement timeout of this test is so short that it may come before the pings; then the next call is told by them.
  const first = await Promise.all([post(), post(), read()]);
  expect((await post()).ms).toBeLessThan(4_000);
  for (const answer of first) {
    expect(answer).toMatchObject({ status: 503 });
    expect(answer.ms).toBeLessThan(7_000);
  }
  for (let n = 0; n < 20; n++) {
    for (const answer of [await post(), await read()]) {
      expect(answer).toMatchObject(unavailable);
      expect(answer.ms).toBeLessThan(1_000);
    }
  }
  expect(await ready()).toBe(503);
  proxy.thaw();
  await untilAccepted(4_000);
  expect((await read()).status).toBe(200);
  expect(await ready()).toBe(200);
  // What was on its way may have been committed: a client is told that it is unknown, never that it is accepted.
  expect((await countEvents()) - before).toBeLessThanOrEqual(3);
});

test('connections that lead nowhere are given up together: one wait finds out about all of them', async () => {
  const { pool } = api.deps.database;
  const clients = await Promise.all(Array.from({ length: 5 }, () => pool.connect()));
  for (const client of clients) client.release();
  proxy.forget();
  const lost = await post();
  expect(lost).toMatchObject(unavailable);
  expect(lost.ms).toBeLessThan(queryTimeoutMs + 2_000);
  const next = await post();
  expect(next.status).toBe(202);
  expect(next.ms).toBeLessThan(1_000);
});

test('a borrowed connection whose answer did not come is not lent out again, nor is its transaction', async () => {
  const { sql } = api.deps.database;
  const pid = () => sql.selectNoFrom(({ fn }) => fn<number>('pg_backend_pid').as('pid')).executeTakeFirstOrThrow();
  const before = await pid();
  proxy.freeze();
  const stuck = sql.transaction().execute((tx) => tx.selectFrom('events').select('id').limit(1).execute());
  await expect(stuck).rejects.toThrow(/timeout|terminated|not queryable/i);
  proxy.thaw();
  const after = await eventually(() => pid().catch(() => undefined), 'another connection');
  expect(after).not.toEqual(before);
});

test('when an administrator ends every connection the next calls work, without a restart', async () => {
  const ended = await postgres.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  expect(ended.length).toBeGreaterThan(0);
  await untilAccepted(2_000);
  expect((await read()).status).toBe(200);
});

test('a pool that is all lent out sheds load early and is no outage: the process stays ready and goes on when it is free', async () => {
  const { pool } = api.deps.database;
  const lent = await Promise.all(Array.from({ length: 6 }, () => pool.connect()));
  const waiting = [post(), post(), post()];
  const shed = await untilShed(waiting);
  expect(shed).toMatchObject({ code: 'overloaded', retryAfter: '1' });
  expect(await ready()).toBe(200);
  expect((await read()).status).toBe(200);
  for (const client of lent) client.release();
  const held = await Promise.all(waiting);
  expect(held.filter(({ status }) => status === 202).length).toBeGreaterThanOrEqual(3);
  expect((await post()).status).toBe(202);
});

test('behind a statement that is slow, calls are shed early, those that wait are accepted, and all is well after it', async () => {
  const before = await countEvents();
  const locker = new pg.Client({ connectionString: postgres.databaseUrl });
  await locker.connect();
  try {
    await locker.query('BEGIN; LOCK TABLE events IN SHARE MODE');
    const waiting = [post()];
    const shed = await untilShed(waiting);
    expect(shed).toMatchObject({ code: 'overloaded', retryAfter: '1' });
    // Postgres answers: this is no outage, and what reads is not affected.
    expect((await read()).status).toBe(200);
    expect(await ready()).toBe(200);
    await locker.query('COMMIT');
    const answers = await within(Promise.all(waiting), 'those that waited');
    const accepted = answers.filter(({ status }) => status === 202).length;
    expect(accepted).toBeGreaterThanOrEqual(2);
    expect((await countEvents()) - before).toBe(accepted);
    expect((await post()).status).toBe(202);
  } finally {
    await locker.end();
  }
});

describe('what Postgres cannot do now is 503 and never 500 or 202:', () => {
  test('a server that has become read-only', async () => {
    await postgres.query('ALTER SYSTEM SET default_transaction_read_only = on');
    await reloaded('on');
    try {
      const refused = await eventually(async () => {
        const answer = await post();
        return answer.status === 202 ? undefined : answer;
      }, 'a refusal');
      expect(refused).toMatchObject(unavailable);
    } finally {
      // ALTER SYSTEM writes no data, so it is allowed.
      await postgres.query('ALTER SYSTEM RESET default_transaction_read_only');
      await reloaded('off');
    }
    await untilAccepted(5_000);
  });

  test.each([
    ['a full disk', '53100'],
    ['no memory', '53200'],
    ['too many connections', '53300'],
    ['an error of the disk', '58030'],
    ['a statement that takes too long', '57014'],
  ])('%s', async (_what, state) => {
    await postgres.query(`CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${state}'; END $$`);
    await postgres.query('CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON events EXECUTE FUNCTION fail()');
    try {
      expect(await post()).toMatchObject(unavailable);
    } finally {
      await postgres.query('DROP TRIGGER fail ON events');
      await postgres.query('DROP FUNCTION fail');
    }
    await untilAccepted(2_000);
  });
});

/** The server reads its settings some time after it is told to. */
async function reloaded(isReadOnly: 'on' | 'off'): Promise<void> {
  await postgres.query('SELECT pg_reload_conf()');
  await eventually(async () => {
    const [row] = await postgres.query<{ default_transaction_read_only: string }>('SHOW default_transaction_read_only');
    return row?.default_transaction_read_only === isReadOnly ? true : undefined;
  }, 'the setting');
}
