import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startBoard, type Board, type BoardQueue } from '../../test/support/board.js';
import {
  operator,
  seedJob,
  signIn,
  startOperations,
  type Mode,
  type Operations,
} from '../../test/support/operations.js';
import { startRedis } from '../../test/support/redis.js';
import { systemClock, type Clock } from '../platform/clock.js';
import { readConfig } from '../platform/config.js';
import { createDatabase } from '../platform/database.js';
import { createLogger } from '../platform/logger.js';
import { LiveQueueAdapter } from './live-queue-adapter.js';
import { asOperator } from './operator.js';
import { SettingsKeeper } from './settings-keeper.js';
import { createSessions } from './session.js';

describe.each<Mode>(['redis', 'postgres'])('a live queue of Bull Board on %s', (mode) => {
  let board: Board;
  let own: Operations;

  beforeAll(async () => {
    board = await startBoard(mode);
    ({ own } = board);
  });

  afterAll(() => own.close());

  test('lists every queue and the dead letters', async () => {
    const { body } = await board.call('/queues');
    expect((body['queues'] as BoardQueue[]).map(({ name }) => name)).toEqual([
      'note.creation.requested',
      'task.creation.requested',
      'dead-letter',
    ]);
  });

  test('shows a job as it lies in its queue', async () => {
    const job = await board.deadJob();
    const { jobs, counts } = await board.look(own.queue, 'failed');
    expect(counts['failed']).toBe(1);
    expect(jobs).toMatchObject([
      { id: job.ticket, failedReason: 'the disk is full', data: { eventId: job.id, userId: 'ursula' } },
    ]);
    await board.press(`${job.ticket}/clean`);
  });

  test('retry of a failed job replays it in Postgres, in the name of the operator, and takes the old ticket away', async () => {
    const job = await board.deadJob();
    expect((await board.press(`${job.ticket}/retry`)).status).toBe(204);
    expect(await board.stateOf(job)).toEqual({ state: 'queued', generation: 2, letter: 'replayed' });
    expect(await own.ticket(job.ticket)).toBeUndefined();
    const { rows } = await own.testDatabase.pool.query(`SELECT actor, action FROM audit_log WHERE target = $1`, [
      job.id,
    ]);
    expect(rows).toEqual([{ actor: 'olga', action: 'job.replayed' }]);
  });

  test('retry all replays all that are dead and passes over those that are not any more', async () => {
    const [first, second, third] = [await board.deadJob(), await board.deadJob(), await board.deadJob()];
    await own.testDatabase.pool.query(
      `UPDATE jobs SET state = 'queued', generation = 2, "finishedAt" = NULL WHERE id = $1`,
      [second.id],
    );
    expect((await board.press('retry/failed')).status).toBe(200);
    expect(await board.stateOf(first)).toMatchObject({ state: 'queued', generation: 2 });
    expect(await board.stateOf(second)).toMatchObject({ state: 'queued', generation: 2 });
    expect(await board.stateOf(third)).toMatchObject({ state: 'queued', generation: 2 });
  });

  test('retry of a job that has moved on is refused with the reason', async () => {
    const job = await board.deadJob();
    await own.testDatabase.pool.query(`UPDATE jobs SET generation = 2 WHERE id = $1`, [job.id]);
    const { status, body } = await board.press(`${job.ticket}/retry`);
    expect({ status, message: body['message'] }).toEqual({
      status: 409,
      message: 'This job has been dispatched again since.',
    });
  });

  test('remove of a waiting job cancels it and tells its user', async () => {
    const job = await seedJob(own.testDatabase, { state: 'queued' });
    await own.enqueue(job);
    expect((await board.press(`${job.ticket}/clean`)).status).toBe(204);
    expect(await board.stateOf(job)).toMatchObject({ state: 'cancelled', generation: 1 });
    expect(await own.ticket(job.ticket)).toBeUndefined();
    expect(
      own.published.find(({ notification }) => JSON.stringify(notification.data).includes(job.id))?.notification.type,
    ).toBe('note.creation.cancelled');
  });

  test('remove of a failed job discards its dead letter', async () => {
    const job = await board.deadJob();
    expect((await board.press(`${job.ticket}/clean`)).status).toBe(204);
    expect(await board.stateOf(job)).toEqual({ state: 'dead', generation: 1, letter: 'discarded' });
    expect(await own.ticket(job.ticket)).toBeUndefined();
  });

  test('clean of what failed discards the dead letters that are older than its grace, page by page', async () => {
    const jobs = [await board.deadJob(), await board.deadJob()];
    const adapter = new LiveQueueAdapter({
      queue: own.backend.queue(own.queue),
      describe: () => '',
      logger: own.api.deps.logger,
      administration: own.administration,
      clock: { ...own.api.deps.clock, now: () => Date.now() + 60_000 },
    });
    await asOperator('olga', () => adapter.clean('failed', 120_000));
    for (const job of jobs) expect(await board.stateOf(job)).toMatchObject({ letter: 'open' });
    await asOperator('olga', () => adapter.clean('failed', 5_000));
    for (const job of jobs)
      expect(await board.stateOf(job)).toEqual({ state: 'dead', generation: 1, letter: 'discarded' });
    expect((await board.look(own.queue)).counts['failed']).toBe(0);
  });

  test('remove of a job that runs cancels it', async () => {
    const job = await seedJob(own.testDatabase, { state: 'running' });
    await own.enqueue(job);
    expect((await board.press(`${job.ticket}/clean`)).status).toBe(204);
    expect(await board.stateOf(job)).toMatchObject({ state: 'cancelled', generation: 1 });
  });

  test('promote of a delayed job runs it now, as a new generation', async () => {
    const job = await seedJob(own.testDatabase, { state: 'scheduled', runAt: `now() + interval '50 seconds'` });
    await own.enqueue(job, 50_000);
    expect((await board.press(`${job.ticket}/promote`)).status).toBe(204);
    expect(await board.stateOf(job)).toMatchObject({ state: 'queued', generation: 2 });
    expect(await own.ticket(job.ticket)).toBeUndefined();
  });

  test('promote all runs every delayed job of the queue now', async () => {
    const delayed = async () => {
      const job = await seedJob(own.testDatabase, { state: 'scheduled', runAt: `now() + interval '50 seconds'` });
      await own.enqueue(job, 50_000);
      return job;
    };
    const promoted = [await delayed(), await delayed()];
    expect((await board.press('promote')).status).toBe(200);
    for (const job of promoted) expect(await board.stateOf(job)).toMatchObject({ state: 'queued', generation: 2 });
    expect((await board.look(own.queue)).counts['delayed']).toBe(0);
  });

  test('pause and resume are recorded and take effect', async () => {
    const recorded = async () => {
      const { rows } = await own.testDatabase.pool.query(
        `SELECT "isPaused", "updatedBy" FROM queue_settings WHERE queue = $1`,
        [own.queue],
      );
      return rows[0] as unknown;
    };
    expect((await board.press('pause')).status).toBe(200);
    expect(await recorded()).toEqual({ isPaused: true, updatedBy: 'olga' });
    expect((await board.look(own.queue)).isPaused).toBe(true);
    expect((await board.press('resume')).status).toBe(200);
    expect(await recorded()).toEqual({ isPaused: false, updatedBy: 'olga' });
    expect((await board.look(own.queue)).isPaused).toBe(false);
  });

  test('a pause outlives a queue store that forgot it', async () => {
    const keeper = new SettingsKeeper({
      backend: own.backend,
      queues: [own.queue],
      sql: own.database.sql,
      clock: own.api.deps.clock,
      logger: own.api.deps.logger,
    });
    await board.press('pause');
    await own.backend.queue(own.queue).resume();
    await keeper.runOnce();
    expect((await board.look(own.queue)).isPaused).toBe(true);
    await board.press('resume');
    await keeper.runOnce();
    expect((await board.look(own.queue)).isPaused).toBe(false);
  });

  test('pause all and resume all reach every queue, and the dead letters do not stand in the way', async () => {
    expect((await board.call('/queues/pause', { method: 'PUT' })).status).toBe(200);
    const { rows } = await own.testDatabase.pool.query(
      `SELECT count(*)::int AS n FROM queue_settings WHERE "isPaused"`,
    );
    expect(rows).toEqual([{ n: 2 }]);
    expect((await board.call('/queues/resume', { method: 'PUT' })).status).toBe(200);
    expect((await board.look(own.queue)).isPaused).toBe(false);
  });

  test.each([
    ['add', 'POST', 'add', { name: 'x', data: {}, options: {} }],
    ['empty', 'PUT', 'empty', {}],
    ['obliterate', 'PUT', 'obliterate', {}],
    ['clean of running jobs', 'PUT', 'clean/active', {}],
    ['global concurrency', 'PUT', 'concurrency', { concurrency: 1 }],
    ['rate limit', 'PUT', 'rate-limit', { max: 1, duration: 1 }],
    ['edit of data', 'PATCH', 'some-id/update-data', { jobData: {} }],
    ['edit of delay', 'PATCH', 'some-id/delay', { runAt: 1 }],
    ['edit of priority', 'PATCH', 'some-id/priority', { priority: 1 }],
  ])('%s is refused with the reason', async (_name, method, path, body) => {
    const job = await seedJob(own.testDatabase, { state: 'queued' });
    await own.enqueue(job);
    const answer = await board.call(`/queues/${own.queue}/${path.replace('some-id', job.ticket)}`, {
      method,
      body: JSON.stringify(body),
    });
    expect(answer).toMatchObject({ status: 403, body: { message: expect.stringMatching(/\w/) } });
    expect(await own.ticket(job.ticket)).toBeDefined();
  });
});

test('descriptions tell what waits in Postgres and not in the queue', async () => {
  const own = await startOperations('redis');
  try {
    await seedJob(own.testDatabase, { state: 'dead' });
    for (const runAt of ['now()', 'now()', `now() + interval '1 day'`]) {
      const { id } = await seedJob(own.testDatabase, { state: 'queued', runAt });
      await own.testDatabase.pool.query(
        `INSERT INTO outbox SELECT id, queue, "userId", priority, generation, "runAt", now() FROM jobs WHERE id = $1`,
        [id],
      );
    }
    const { cookie } = await signIn(own.api);
    const response = await own.api.call('/admin/queues/api/queues', { headers: { Cookie: cookie } });
    const { queues } = (await response.json()) as { queues: BoardQueue[] };
    expect(queues.map(({ description }) => description)).toEqual([
      'In Postgres, not in this queue: 2 due, 1 scheduled. Open dead letters: 1.',
      'In Postgres, not in this queue: 0 due, 0 scheduled. Open dead letters: 0.',
      'All open dead letters of all queues, read from Postgres.',
    ]);
  } finally {
    await own.close();
  }
});

test('a frozen Redis is named as the reason, in time, and the board comes back with it', async () => {
  const redis = await startRedis();
  const hurried: Clock = { ...systemClock, after: (delayMs, fn) => systemClock.after(delayMs / 20, fn) };
  const own = await startOperations('redis', { redis: redis.url, clock: hurried });
  try {
    const { cookie } = await signIn(own.api);
    const look = () => own.api.call('/admin/queues/api/queues', { headers: { Cookie: cookie } });
    process.kill(redis.pid, 'SIGSTOP');
    const answer = await look();
    expect({ status: answer.status, body: await answer.json() }).toMatchObject({
      status: 503,
      body: { code: 'unavailable', detail: 'The queue store (redis) is out of reach.' },
    });
    process.kill(redis.pid, 'SIGCONT');
    expect((await look()).status).toBe(200);
  } finally {
    await own.close();
    await redis.stop();
  }
});

test('without Postgres the live queues still show, and the rest says why it does not', async () => {
  const away = createDatabase(
    'postgresql://nobody@127.0.0.1:1/none',
    readConfig({ DB_POOL_MIN: '0' }).database,
    createLogger({ level: 'silent', pretty: false }),
  );
  const own = await startOperations('redis', { database: { pool: away.pool, sql: away.sql } });
  const session = await createSessions('a secret of the tests', operator, () => Date.now()).issue();
  try {
    const answer = await own.api.call('/admin/queues/api/queues', { headers: { Cookie: `synap_operator=${session}` } });
    const { queues } = (await answer.json()) as { queues: BoardQueue[] };
    expect(queues.map(({ description }) => description)).toEqual([
      'What waits in Postgres is not known: it is out of reach.',
      'What waits in Postgres is not known: it is out of reach.',
      'The dead letters are in Postgres, which is out of reach.',
    ]);
    expect((await signIn(own.api)).response.status).toBe(503);
  } finally {
    await own.close();
    await away.close();
  }
});
