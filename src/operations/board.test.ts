import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { seedJob, signIn, startOperations, type Mode, type Operations, type SeededJob } from '../../test/support/operations.js';
import { LiveQueueAdapter } from './live-queue-adapter.js';
import { asOperator } from './operator.js';
import { PauseKeeper } from './pause-keeper.js';

interface BoardQueue {
  readonly name: string;
  readonly description: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly isPaused: boolean;
  readonly jobs: readonly { readonly id: string; readonly data: unknown; readonly failedReason?: string }[];
}

describe.each<Mode>(['redis', 'postgres'])('Bull Board on %s', (mode) => {
  let own: Operations;
  let cookie: string;

  beforeAll(async () => {
    own = await startOperations(mode);
    ({ cookie } = await signIn(own.api));
  });

  afterAll(() => own.close());

  async function call(path: string, init: RequestInit = {}) {
    const response = await own.api.call(`/admin/queues/api${path}`, { ...init, headers: { Cookie: cookie, Origin: own.api.url, 'Content-Type': 'application/json' } });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
  }

  const press = (path: string, queue = own.queue) => call(`/queues/${queue}/${path}`, { method: 'PUT', body: '{}' });

  async function look(active: string, status = 'latest'): Promise<BoardQueue> {
    const { status: code, body } = await call(`/queues?activeQueue=${active}&status=${status}&page=1&jobsPerPage=50`);
    expect(code).toBe(200);
    const found = (body['queues'] as BoardQueue[]).find(({ name }) => name === active);
    if (found === undefined) throw new Error(`${active} is not on the board`);
    return found;
  }

  async function stateOf({ id }: SeededJob) {
    const { rows } = await own.testDatabase.pool.query(
      `SELECT j.state, j.generation, d.state AS letter FROM jobs j LEFT JOIN dead_letters d ON d."jobId" = j.id WHERE j.id = $1`,
      [id],
    );
    return rows[0] as { state: string; generation: number; letter: string | null };
  }

  async function deadJob(): Promise<SeededJob> {
    const job = await seedJob(own.testDatabase, { state: 'dead' });
    await own.fail(job);
    return job;
  }

  test('lists every queue and the dead letters', async () => {
    const { body } = await call('/queues');
    expect((body['queues'] as BoardQueue[]).map(({ name }) => name)).toEqual(['note.creation.requested', 'task.creation.requested', 'dead-letter']);
  });

  test('shows a job as it lies in its queue', async () => {
    const job = await deadJob();
    const { jobs, counts } = await look(own.queue, 'failed');
    expect(counts['failed']).toBe(1);
    expect(jobs).toMatchObject([{ id: job.ticket, failedReason: 'the disk is full', data: { eventId: job.id, userId: 'ursula' } }]);
    await press(`${job.ticket}/clean`);
  });

  test('retry of a failed job replays it in Postgres, in the name of the operator, and takes the old ticket away', async () => {
    const job = await deadJob();
    expect((await press(`${job.ticket}/retry`)).status).toBe(204);
    expect(await stateOf(job)).toEqual({ state: 'queued', generation: 2, letter: 'replayed' });
    expect(await own.ticket(job.ticket)).toBeUndefined();
    const { rows } = await own.testDatabase.pool.query(`SELECT actor, action FROM audit_log WHERE target = $1`, [job.id]);
    expect(rows).toEqual([{ actor: 'olga', action: 'job.replayed' }]);
  });

  test('retry all replays all that are dead and passes over those that are not any more', async () => {
    const [first, second, third] = [await deadJob(), await deadJob(), await deadJob()];
    await own.testDatabase.pool.query(`UPDATE jobs SET state = 'queued', generation = 2, "finishedAt" = NULL WHERE id = $1`, [second.id]);
    expect((await press('retry/failed')).status).toBe(200);
    expect(await stateOf(first)).toMatchObject({ state: 'queued', generation: 2 });
    expect(await stateOf(second)).toMatchObject({ state: 'queued', generation: 2 });
    expect(await stateOf(third)).toMatchObject({ state: 'queued', generation: 2 });
  });

  test('retry of a job that has moved on is refused with the reason', async () => {
    const job = await deadJob();
    await own.testDatabase.pool.query(`UPDATE jobs SET generation = 2 WHERE id = $1`, [job.id]);
    const { status, body } = await press(`${job.ticket}/retry`);
    expect({ status, message: body['message'] }).toEqual({ status: 409, message: 'This job has been dispatched again since.' });
  });

  test('remove of a waiting job cancels it and tells its user', async () => {
    const job = await seedJob(own.testDatabase, { state: 'queued' });
    await own.enqueue(job);
    expect((await press(`${job.ticket}/clean`)).status).toBe(204);
    expect(await stateOf(job)).toMatchObject({ state: 'cancelled', generation: 1 });
    expect(await own.ticket(job.ticket)).toBeUndefined();
    expect(own.published.find(({ notification }) => JSON.stringify(notification.data).includes(job.id))?.notification.type).toBe('note.creation.cancelled');
  });

  test('remove of a failed job discards its dead letter', async () => {
    const job = await deadJob();
    expect((await press(`${job.ticket}/clean`)).status).toBe(204);
    expect(await stateOf(job)).toEqual({ state: 'dead', generation: 1, letter: 'discarded' });
    expect(await own.ticket(job.ticket)).toBeUndefined();
  });

  test('clean of what failed discards the dead letters that are older than its grace, page by page', async () => {
    const jobs = [await deadJob(), await deadJob()];
    const adapter = new LiveQueueAdapter({
      ...{ queue: own.backend.queue(own.queue), describe: () => '', logger: own.api.deps.logger, administration: own.administration },
      clock: { ...own.api.deps.clock, now: () => Date.now() + 60_000 },
    });
    await asOperator('olga', () => adapter.clean('failed', 120_000));
    for (const job of jobs) expect(await stateOf(job)).toMatchObject({ letter: 'open' });
    await asOperator('olga', () => adapter.clean('failed', 5_000));
    for (const job of jobs) expect(await stateOf(job)).toEqual({ state: 'dead', generation: 1, letter: 'discarded' });
    expect((await look(own.queue)).counts['failed']).toBe(0);
  });

  test('remove of a job that runs is refused and touches nothing', async () => {
    const job = await seedJob(own.testDatabase, { state: 'running' });
    await own.enqueue(job);
    expect((await press(`${job.ticket}/clean`)).status).toBe(409);
    expect(await stateOf(job)).toMatchObject({ state: 'running' });
    expect(await own.ticket(job.ticket)).toBeDefined();
  });

  test('promote of a delayed job runs it now, as a new generation', async () => {
    const job = await seedJob(own.testDatabase, { state: 'scheduled', runAt: `now() + interval '50 seconds'` });
    await own.enqueue(job, 50_000);
    expect((await press(`${job.ticket}/promote`)).status).toBe(204);
    expect(await stateOf(job)).toMatchObject({ state: 'queued', generation: 2 });
    expect(await own.ticket(job.ticket)).toBeUndefined();
  });

  test('promote all runs every delayed job of the queue now', async () => {
    const delayed = async () => {
      const job = await seedJob(own.testDatabase, { state: 'scheduled', runAt: `now() + interval '50 seconds'` });
      await own.enqueue(job, 50_000);
      return job;
    };
    const promoted = [await delayed(), await delayed()];
    expect((await press('promote')).status).toBe(200);
    for (const job of promoted) expect(await stateOf(job)).toMatchObject({ state: 'queued', generation: 2 });
    expect((await look(own.queue)).counts['delayed']).toBe(0);
  });

  test('pause and resume are recorded and take effect', async () => {
    const recorded = async () => {
      const { rows } = await own.testDatabase.pool.query(`SELECT "isPaused", "updatedBy" FROM queue_settings WHERE queue = $1`, [own.queue]);
      return rows[0] as unknown;
    };
    expect((await press('pause')).status).toBe(200);
    expect(await recorded()).toEqual({ isPaused: true, updatedBy: 'olga' });
    expect((await look(own.queue)).isPaused).toBe(true);
    expect((await press('resume')).status).toBe(200);
    expect(await recorded()).toEqual({ isPaused: false, updatedBy: 'olga' });
    expect((await look(own.queue)).isPaused).toBe(false);
  });

  test('a pause outlives a queue store that forgot it', async () => {
    const keeper = new PauseKeeper({ backend: own.backend, queues: [own.queue], sql: own.database.sql, clock: own.api.deps.clock, logger: own.api.deps.logger });
    await press('pause');
    await own.backend.queue(own.queue).resume();
    await keeper.runOnce();
    expect((await look(own.queue)).isPaused).toBe(true);
    await press('resume');
    await keeper.runOnce();
    expect((await look(own.queue)).isPaused).toBe(false);
  });

  test('pause all and resume all reach every queue, and the dead letters do not stand in the way', async () => {
    expect((await call('/queues/pause', { method: 'PUT' })).status).toBe(200);
    const { rows } = await own.testDatabase.pool.query(`SELECT count(*)::int AS n FROM queue_settings WHERE "isPaused"`);
    expect(rows).toEqual([{ n: 2 }]);
    expect((await call('/queues/resume', { method: 'PUT' })).status).toBe(200);
    expect((await look(own.queue)).isPaused).toBe(false);
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
    const answer = await call(`/queues/${own.queue}/${path.replace('some-id', job.ticket)}`, { method, body: JSON.stringify(body) });
    expect(answer).toMatchObject({ status: 403, body: { message: expect.stringMatching(/\w/) } });
    expect(await own.ticket(job.ticket)).toBeDefined();
  });

  describe('the dead letters', () => {
    const letters = 'dead-letter';

    test('are there whatever the queue store has forgotten, with error and payload', async () => {
      const job = await seedJob(own.testDatabase, { state: 'dead' });
      const shown = await look(letters);
      const { rows } = await own.testDatabase.pool.query(`SELECT count(*)::int AS n FROM dead_letters WHERE state = 'open'`);
      expect(shown.counts['failed']).toBe((rows[0] as { n: number }).n);
      expect(shown.jobs[0]).toMatchObject({ id: job.id, failedReason: 'the disk is full' });
      const { body } = await call(`/queues/${letters}/${job.id}`);
      expect(body).toMatchObject({ status: 'failed', job: { data: { type: 'note.creation.requested', userId: 'ursula', payload: { title: 'Buy milk' } } } });
    });

    test('carry the log of the attempt, the steps on record and earlier replays', async () => {
      const job = await deadJob();
      await own.testDatabase.pool.query(`INSERT INTO steps ("jobId", name, output, fence) VALUES ($1, 'upload-to-storage', '1', 1)`, [job.id]);
      await own.testDatabase.pool.query(`UPDATE dead_letters SET history = '[{"at": "2026-01-01", "action": "replayed", "actor": "otto"}]' WHERE "jobId" = $1`, [job.id]);
      const { body } = await call(`/queues/${letters}/${job.id}/logs`);
      expect(body).toEqual([expect.stringContaining('writing the file'), expect.stringContaining('upload-to-storage'), expect.stringContaining('replayed by otto')]);
    });

    test('retry replays, and the failed ticket in the job\'s own queue goes too', async () => {
      const job = await deadJob();
      expect((await press(`${job.id}/retry`, letters)).status).toBe(204);
      expect(await stateOf(job)).toEqual({ state: 'queued', generation: 2, letter: 'replayed' });
      expect(await own.ticket(job.ticket)).toBeUndefined();
      expect((await press(`${job.id}/retry`, letters)).status).toBe(404);
    });

    test('remove discards', async () => {
      const job = await deadJob();
      expect((await press(`${job.id}/clean`, letters)).status).toBe(204);
      expect(await stateOf(job)).toMatchObject({ letter: 'discarded' });
    });

    test('retry all replays every open one', async () => {
      const jobs = [await seedJob(own.testDatabase, { state: 'dead' }), await seedJob(own.testDatabase, { state: 'dead' })];
      expect((await press('retry/failed', letters)).status).toBe(200);
      for (const job of jobs) expect(await stateOf(job)).toMatchObject({ state: 'queued', letter: 'replayed' });
      const listed = (await look(letters)).jobs.map(({ id }) => id);
      expect(jobs.filter(({ id }) => listed.includes(id))).toEqual([]);
    });

    test('cannot be paused, and ids that are none are not found', async () => {
      expect((await press('pause', letters)).status).toBe(403);
      expect((await call(`/queues/${letters}/no-such-job`)).status).toBe(404);
    });
  });
});

test('descriptions tell what waits in Postgres and not in the queue', async () => {
  const own = await startOperations('redis');
  try {
    await seedJob(own.testDatabase, { state: 'dead' });
    for (const runAt of ['now()', 'now()', `now() + interval '1 day'`]) {
      const { id } = await seedJob(own.testDatabase, { state: 'queued', runAt });
      await own.testDatabase.pool.query(`INSERT INTO outbox SELECT id, queue, "userId", priority, generation, "runAt", now() FROM jobs WHERE id = $1`, [id]);
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
