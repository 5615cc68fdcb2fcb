import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { seedJob, startAdministration } from '../../test/support/operations.js';
import { eventually } from '../../test/support/signals.js';
import { newId } from '../platform/ids.js';

let own: Awaited<ReturnType<typeof startAdministration>>;

beforeAll(async () => {
  own = await startAdministration();
});

beforeEach(() => {
  own.published.length = 0;
  own.runnable.length = 0;
});

afterAll(async () => {
  await own.database.close();
  await own.testDatabase.drop();
});

const acting = { actor: 'olga' };

async function rowOf(table: string, id: string, key = 'jobId'): Promise<Record<string, unknown> | undefined> {
  const { rows } = await own.testDatabase.pool.query<Record<string, unknown>>(
    `SELECT * FROM ${table} WHERE "${key}" = $1`,
    [id],
  );
  return rows[0];
}

async function actsOn(target: string): Promise<unknown[]> {
  const { rows } = await own.testDatabase.pool.query<Record<string, unknown>>(
    `SELECT actor, action, details FROM audit_log WHERE target = $1 ORDER BY at`,
    [target],
  );
  return rows;
}

async function recordStep(jobId: string): Promise<void> {
  await own.testDatabase.pool.query(
    `INSERT INTO steps ("jobId", name, output, fence) VALUES ($1, 'upload', '"x"', 1)`,
    [jobId],
  );
}

describe('replay', () => {
  test('makes a dead job runnable again as its next generation, with its failures forgiven and its steps kept', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'dead' });
    await recordStep(id);
    await own.administration.replay(id, { ...acting, mode: 'resume' });
    expect(await rowOf('jobs', id, 'id')).toMatchObject({
      state: 'queued',
      generation: 2,
      failures: 0,
      crashes: 0,
      finishedAt: null,
      lastError: null,
    });
    expect(await rowOf('outbox', id)).toMatchObject({ generation: 2, priority: 10 });
    expect(await rowOf('steps', id)).toBeDefined();
    expect(await rowOf('dead_letters', id)).toMatchObject({
      state: 'replayed',
      history: [{ action: 'replayed', mode: 'resume', generation: 2, actor: 'olga', at: expect.any(String) }],
    });
    expect(await actsOn(id)).toEqual([
      { actor: 'olga', action: 'job.replayed', details: { mode: 'resume', generation: 2 } },
    ]);
    expect(own.runnable).toEqual([
      expect.objectContaining({ jobId: id, generation: 2, data: expect.objectContaining({ requestId: 'req-1' }) }),
    ]);
  });

  test('is due at once by the clock of the database', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'dead' });
    await own.administration.replay(id, { ...acting, mode: 'resume' });
    const { rows } = await own.testDatabase.pool.query(`SELECT "runAt" <= now() AS due FROM jobs WHERE id = $1`, [id]);
    expect(rows).toEqual([{ due: true }]);
  });

  test('as a restart drops the steps', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'dead' });
    await recordStep(id);
    await own.administration.replay(id, { ...acting, mode: 'restart' });
    expect(await rowOf('steps', id)).toBeUndefined();
  });

  test('by ten operators at once happens once', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'dead' });
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, () => own.administration.replay(id, { ...acting, mode: 'resume' })),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await rowOf('jobs', id, 'id')).toMatchObject({ generation: 2 });
    expect(await actsOn(id)).toHaveLength(1);
  });

  test.each(['scheduled', 'queued', 'running', 'completed', 'cancelled'])(
    'of a job that is %s is refused and leaves no trace',
    async (state) => {
      const { id } = await seedJob(own.testDatabase, { state });
      await expect(own.administration.replay(id, { ...acting, mode: 'restart' })).rejects.toMatchObject({
        code: 'job_state_conflict',
      });
      expect(await rowOf('jobs', id, 'id')).toMatchObject({ state, generation: 1 });
      expect(await actsOn(id)).toEqual([]);
      expect(own.runnable).toEqual([]);
    },
  );

  test('of a generation that is over is refused', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'dead' });
    await own.testDatabase.pool.query('UPDATE jobs SET generation = 2 WHERE id = $1', [id]);
    await expect(own.administration.replay(id, { ...acting, generation: 1, mode: 'resume' })).rejects.toMatchObject({
      code: 'job_state_conflict',
    });
  });

  test('of a job that never was is not found', async () => {
    await expect(own.administration.replay(newId(), { ...acting, mode: 'resume' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });
});

describe('cancel', () => {
  test.each(['scheduled', 'queued', 'running'])(
    'ends a job that is %s, takes it out of the outbox and tells its user, numbered in both rooms',
    async (state) => {
      const { id } = await seedJob(own.testDatabase, { state, userId: `user-of-${state}` });
      await own.testDatabase.pool.query(
        `INSERT INTO outbox SELECT id, queue, "userId", priority, generation, "runAt", now() FROM jobs WHERE id = $1`,
        [id],
      );
      await own.administration.cancel(id, acting);
      expect(await rowOf('jobs', id, 'id')).toMatchObject({ state: 'cancelled', finishedAt: expect.any(Date) });
      expect(await rowOf('outbox', id)).toBeUndefined();
      expect(await actsOn(id)).toEqual([{ actor: 'olga', action: 'job.cancelled', details: null }]);
      expect(
        own.published.map(({ room, seq }) => ({ room, seq })).toSorted((a, b) => a.room.localeCompare(b.room)),
      ).toEqual([
        { room: `r:user-of-${state}:req-1`, seq: 1 },
        { room: `u:user-of-${state}`, seq: 1 },
      ]);
      expect(own.published[0]?.notification).toMatchObject({
        type: 'note.creation.cancelled',
        status: 'success',
        requestId: 'req-1',
        data: { eventId: id, aggregateId: 'note-1', state: 'cancelled' },
      });
      expect(own.published[0]?.notification).not.toHaveProperty('error');
    },
  );

  test.each(['completed', 'dead', 'cancelled'])('of a job that is %s is refused', async (state) => {
    const { id } = await seedJob(own.testDatabase, { state });
    await expect(own.administration.cancel(id, acting)).rejects.toMatchObject({ code: 'job_state_conflict' });
    expect(await rowOf('jobs', id, 'id')).toMatchObject({ state });
    expect(own.published).toEqual([]);
  });
});

test.each([
  ['runNow', 'is refused', expect.objectContaining({ code: 'job_state_conflict' }), 'running'],
  ['cancel', 'ends it', undefined, 'cancelled'],
] as const)(
  '%s waits for a claim that is under way, then finds the job running and %s',
  async (act, _what, expected, state) => {
    const { id } = await seedJob(own.testDatabase, { state: 'queued' });
    const claim = await own.testDatabase.pool.connect();
    try {
      await claim.query('BEGIN');
      await claim.query(`UPDATE jobs SET state = 'running' WHERE id = $1`, [id]);
      const outcome = own.administration[act](id, acting).catch((thrown: unknown) => thrown);
      await eventually(async () => ((await isSomebodyWaiting()) ? true : undefined), 'the act to wait for the claim');
      await claim.query('COMMIT');
      expect(await outcome).toEqual(expected);
    } finally {
      claim.release();
    }
    expect(await rowOf('jobs', id, 'id')).toMatchObject({ state, generation: 1 });
    expect(own.published).toHaveLength(state === 'cancelled' ? 2 : 0);
  },
);

async function isSomebodyWaiting(): Promise<boolean> {
  const { rowCount } = await own.testDatabase.pool.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return rowCount === 1;
}

describe('discard', () => {
  test('closes the dead letter once, with its reason, and the job stays dead', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'dead' });
    await own.administration.discard(id, { ...acting, reason: 'a test' });
    expect(await rowOf('dead_letters', id)).toMatchObject({
      state: 'discarded',
      history: [{ action: 'discarded', reason: 'a test' }],
    });
    expect(await rowOf('jobs', id, 'id')).toMatchObject({ state: 'dead' });
    await expect(own.administration.discard(id, { ...acting, reason: 'again' })).rejects.toMatchObject({
      code: 'job_state_conflict',
    });
    expect(await actsOn(id)).toEqual([{ actor: 'olga', action: 'job.discarded', details: { reason: 'a test' } }]);
  });

  test('does not stand in the way of a later replay', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'dead' });
    await own.administration.discard(id, { ...acting, reason: 'too early' });
    await own.administration.replay(id, { ...acting, mode: 'resume' });
    expect(await rowOf('jobs', id, 'id')).toMatchObject({ state: 'queued', generation: 2 });
  });
});

describe('run now', () => {
  test('brings a far job forward as its next generation, in place of the outbox row that waited', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'scheduled', runAt: `now() + interval '1 day'` });
    await own.testDatabase.pool.query(
      `INSERT INTO outbox SELECT id, queue, "userId", priority, generation, "runAt", "runAt" FROM jobs WHERE id = $1`,
      [id],
    );
    await own.administration.runNow(id, acting);
    expect(await rowOf('jobs', id, 'id')).toMatchObject({ state: 'queued', generation: 2, failures: 3 });
    const { rows } = await own.testDatabase.pool.query(
      `SELECT generation, "runAt" <= now() AS due, "claimedUntil" < now() + interval '1 second' AS free FROM outbox WHERE "jobId" = $1`,
      [id],
    );
    expect(rows).toEqual([{ generation: 2, due: true, free: true }]);
    expect(own.runnable).toHaveLength(1);
  });
});

test('pausing a queue is recorded, and by whom', async () => {
  await own.administration.setPaused('note.creation.requested', true, acting);
  expect(await rowOf('queue_settings', 'note.creation.requested', 'queue')).toMatchObject({
    isPaused: true,
    updatedBy: 'olga',
  });
  await own.administration.setPaused('note.creation.requested', false, { actor: 'otto' });
  expect(await rowOf('queue_settings', 'note.creation.requested', 'queue')).toMatchObject({
    isPaused: false,
    updatedBy: 'otto',
  });
  expect(await actsOn('note.creation.requested')).toMatchObject([
    { action: 'queue.paused' },
    { action: 'queue.resumed', actor: 'otto' },
  ]);
});
