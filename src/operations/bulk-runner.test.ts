import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { seedJob, startAdministration, type Seed } from '../../test/support/operations.js';
import { eventually, within } from '../../test/support/signals.js';
import { BulkOperations, type BulkAct, type BulkOperationView } from '../execution/bulk-operations.js';
import type { DeadLetterFilter } from '../execution/dead-letter-filter.js';
import { systemClock } from '../platform/clock.js';
import { armFault } from '../platform/fault-points.js';
import { createLogger } from '../platform/logger.js';
import { BulkRunner } from './bulk-runner.js';

let own: Awaited<ReturnType<typeof startAdministration>>;
let bulk: BulkOperations;

beforeEach(async () => {
  own = await startAdministration();
  bulk = new BulkOperations(own.database);
});

afterEach(async () => {
  armFault(undefined);
  await own.database.close();
  await own.testDatabase.drop();
});

const logger = createLogger({ level: 'silent', pretty: false });
const runner = () =>
  new BulkRunner({ sql: own.database.sql, administration: own.administration, clock: systemClock, logger });

const resume = { action: 'replay', mode: 'resume', force: false } as const;

function start(
  act: BulkAct = resume,
  filter: DeadLetterFilter = {},
  ratePerSecond = 1_000,
): Promise<BulkOperationView> {
  return bulk.start({ filter, act, ratePerSecond, actor: 'olga' });
}

async function seedDead(count: number, letter: Seed['letter'] = {}): Promise<string[]> {
  const jobs = await Promise.all(
    Array.from({ length: count }, () =>
      // Died before whatever a test starts.
      seedJob(own.testDatabase, { state: 'dead', letter: { diedAt: `now() - interval '1 second'`, ...letter } }),
    ),
  );
  return jobs.map(({ id }) => id).toSorted();
}

/** Rounds until none is running. */
async function finish(one = runner()): Promise<void> {
  while (await one.runOnce());
}

async function query<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await own.testDatabase.pool.query<Row>(text, values)).rows;
}

async function generations(ids: readonly string[]): Promise<number[]> {
  const rows = await query<{ generation: number }>('SELECT generation FROM jobs WHERE id = ANY($1) ORDER BY id', [ids]);
  return rows.map(({ generation }) => generation);
}

const once = (ids: readonly string[]) => ids.map(() => 2);

describe('a bulk replay', () => {
  test('replays every open letter that matches and nothing else, each with its line in history and audit log', async () => {
    const wanted = await seedDead(3, { fingerprint: 'disk' });
    const others = await seedDead(2, { fingerprint: 'net' });
    const [discarded = ''] = await seedDead(1, { fingerprint: 'disk' });
    await own.administration.discard(discarded, { actor: 'otto', reason: 'known' });
    const { id, total, state } = await start(resume, { fingerprint: 'disk' });
    expect({ total, state }).toEqual({ total: 3, state: 'running' });
    await finish();
    expect(await generations(wanted)).toEqual(once(wanted));
    expect(await generations([...others, discarded])).toEqual([1, 1, 1]);
    expect(await bulk.find(id)).toMatchObject({
      state: 'completed',
      done: 3,
      skipped: 0,
      finishedAt: expect.any(Date),
    });
    const acts = await query(
      `SELECT actor, details->>'operation' AS operation FROM audit_log WHERE action = 'job.replayed'`,
    );
    expect(acts).toEqual(wanted.map(() => ({ actor: 'olga', operation: id })));
    const [letter] = await query<{ history: unknown[] }>('SELECT history FROM dead_letters WHERE "jobId" = $1', [
      wanted[0],
    ]);
    expect(letter?.history).toMatchObject([{ action: 'replayed', operation: id }]);
    expect(own.runnable).toHaveLength(3);
  });

  test('by two runners at once replays each once', async () => {
    const ids = await seedDead(60);
    const { id } = await start();
    await Promise.all([finish(), finish(), finish()]);
    expect(await generations(ids)).toEqual(once(ids));
    expect(await bulk.find(id)).toMatchObject({ state: 'completed', total: 60, done: 60, skipped: 0 });
    expect(await query(`SELECT FROM audit_log WHERE action = 'job.replayed'`)).toHaveLength(60);
  });

  test('keeps its rate, however many runners there are', async () => {
    await seedDead(6);
    const { id } = await start(resume, {}, 5);
    const startedAt = performance.now();
    await Promise.all([finish(), finish(), finish()]);
    // The first at once, five more at 200 ms each.
    expect(performance.now() - startedAt).toBeGreaterThan(990);
    expect(await bulk.find(id)).toMatchObject({ done: 6 });
  });

  test('that ends in the middle is gone on with, and replays nothing twice, also not what has died again since', async () => {
    const ids = await seedDead(6);
    const { id } = await start();
    armFault({ point: 'bulk.acted', action: 'throw', nth: 3 });
    await expect(runner().runOnce()).rejects.toThrow('fault point bulk.acted');
    expect(await bulk.find(id)).toMatchObject({ state: 'running', done: 3 });
    // One of those that were done, and one that its turn has not come for but another operator was quicker.
    await own.administration.replay(String(ids[4]), { actor: 'otto', mode: 'resume' });
    const again = [ids[2], ids[4]];
    await query(`UPDATE jobs SET state = 'dead', "finishedAt" = now() WHERE id = ANY($1)`, [again]);
    await query(`UPDATE dead_letters SET state = 'open', generation = 2, "createdAt" = now() WHERE "jobId" = ANY($1)`, [
      again,
    ]);
    await finish();
    expect(await generations(ids)).toEqual(once(ids));
    expect(await bulk.find(id)).toMatchObject({ state: 'completed', total: 6, done: 5, skipped: 1 });
  });

  test('leaves alone what died after it was started', async () => {
    const ids = await seedDead(2);
    const { id } = await start();
    const late = await seedJob(own.testDatabase, { state: 'dead', letter: { diedAt: `now() + interval '1 minute'` } });
    await finish();
    expect(await generations([...ids, late.id])).toEqual([2, 2, 1]);
    expect(await bulk.find(id)).toMatchObject({ total: 2, done: 2 });
  });

  test('that is stopped does no more, and what was done stays', async () => {
    const ids = await seedDead(20);
    const { id } = await start(resume, {}, 10);
    const one = runner();
    const round = one.runOnce();
    await eventually(async () => ((await bulk.find(id))?.done === 0 ? undefined : true), 'the first');
    const { state, done } = await bulk.stop(id, { actor: 'otto' });
    await round;
    await finish(one);
    expect([state, await bulk.find(id)]).toEqual(['cancelled', expect.objectContaining({ state, done })]);
    expect(await generations(ids)).toEqual(ids.map((_id, index) => (index < done ? 2 : 1)));
    expect(done).toBeLessThan(10);
  });

  test('skips what was replayed too often and says so; with force it does not', async () => {
    const [tired = ''] = await seedDead(1, { replays: 5 });
    const fresh = await seedDead(1);
    const { id } = await start();
    await finish();
    expect(await generations([tired, ...fresh])).toEqual([1, 2]);
    expect(await bulk.find(id)).toMatchObject({
      state: 'completed',
      done: 1,
      skipped: 1,
      lastError: expect.stringContaining(`${tired}: This job has been replayed 5 times`),
    });
    await start({ ...resume, force: true });
    await finish();
    expect(await generations([tired])).toEqual([2]);
  });

  test('does not act before its time, also where another runner moved that on after this one had looked', async () => {
    const [id = ''] = await seedDead(1);
    const operation = await start();
    const client = await own.testDatabase.pool.connect();
    try {
      await client.query('BEGIN');
      await client.query('SELECT FROM jobs WHERE id = $1 FOR UPDATE', [id]);
      const round = runner().runOnce();
      await eventually(isSomebodyWaiting, 'the runner to wait for the job');
      await client.query(`UPDATE bulk_operations SET "dueAt" = now() + interval '1 hour'`);
      await client.query('COMMIT');
      await within(round, 'the runner');
    } finally {
      client.release();
    }
    expect(await generations([id])).toEqual([1]);
    expect(await bulk.find(operation.id)).toMatchObject({ state: 'running', done: 0, skipped: 0 });
  });

  test.each([
    ['was discarded', `UPDATE dead_letters SET state = 'discarded' WHERE "jobId" = $1`, '', 1],
    [
      'was replayed and has died again',
      'UPDATE jobs SET generation = 2 WHERE id = $1',
      'UPDATE dead_letters SET generation = 2 WHERE "jobId" = $1',
      2,
    ],
  ])('does not replay what %s when its turn came', async (_what, first, second, generation) => {
    const [id = ''] = await seedDead(1);
    const operation = await start();
    const client = await own.testDatabase.pool.connect();
    try {
      await client.query('BEGIN');
      await client.query('SELECT FROM jobs WHERE id = $1 FOR UPDATE', [id]);
      const round = runner().runOnce();
      await eventually(isSomebodyWaiting, 'the runner to wait for the operator');
      await client.query(first, [id]);
      if (second !== '') await client.query(second, [id]);
      await client.query('COMMIT');
      await within(round, 'the runner');
    } finally {
      client.release();
    }
    expect(await generations([id])).toEqual([generation]);
    await finish();
    expect(await bulk.find(operation.id)).toMatchObject({ state: 'completed', done: 0, skipped: 1 });
  });

  test('is not held up by a letter that cannot be replayed', async () => {
    const ids = await seedDead(3);
    await query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$`);
    await query(
      `CREATE TRIGGER refuse BEFORE INSERT ON outbox FOR EACH ROW WHEN (NEW."jobId" = '${ids[1]}') EXECUTE FUNCTION refuse()`,
    );
    const { id } = await start();
    await finish();
    expect(await generations(ids)).toEqual([2, 1, 2]);
    expect(await bulk.find(id)).toMatchObject({
      state: 'completed',
      done: 2,
      skipped: 1,
      lastError: expect.stringContaining(String(ids[1])),
    });
  });

  test('as a restart drops the steps', async () => {
    const [id = ''] = await seedDead(1);
    await query(`INSERT INTO steps ("jobId", name, output, fence) VALUES ($1, 'upload', '1', 1)`, [id]);
    await start({ action: 'replay', mode: 'restart', force: false });
    await finish();
    expect(await query('SELECT FROM steps WHERE "jobId" = $1', [id])).toHaveLength(0);
  });
});

test('a bulk discard closes every open letter that matches, with the reason', async () => {
  const ids = await seedDead(3, { code: 'gone' });
  await seedDead(1);
  const { id } = await start({ action: 'discard', reason: 'a bad release' }, { code: 'gone' });
  await finish();
  expect(await bulk.find(id)).toMatchObject({ state: 'completed', done: 3 });
  const letters = await query<{ jobId: string; reason: string }>(
    `SELECT "jobId", history->0->>'reason' AS reason FROM dead_letters WHERE state = 'discarded' ORDER BY "jobId"`,
  );
  expect(letters).toEqual(ids.map((jobId) => ({ jobId, reason: 'a bad release' })));
});

test('a runner that is stopped while it waits for its rate stops at once', async () => {
  await seedDead(3);
  const { id } = await start(resume, {}, 1);
  const one = runner();
  one.start();
  await eventually(async () => ((await bulk.find(id))?.done === 1 ? true : undefined), 'the first');
  const startedAt = performance.now();
  await one.stop();
  expect(performance.now() - startedAt).toBeLessThan(500);
  expect(await bulk.find(id)).toMatchObject({ state: 'running', done: 1 });
});

async function isSomebodyWaiting(): Promise<true | undefined> {
  const rows = await query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return rows.length === 1 ? true : undefined;
}
