import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { faultsOf, startAdmin, type Answer, type TestAdmin } from '../../test/support/admin.js';
import { seedJob } from '../../test/support/operations.js';
import { eventually } from '../../test/support/signals.js';
import { newId } from '../platform/ids.js';

let own: TestAdmin;
beforeAll(async () => {
  own = await startAdmin();
});
afterAll(() => own.api.close());

describe('one dead letter', () => {
  test('has its payload, every attempt, its steps, its history and its job', async () => {
    const id = await own.dead();
    const workerId = newId();
    await own.query(
      `INSERT INTO failed_attempts ("jobId", attempt, "workerId", error) SELECT $1, n, $2, '{"code": "x", "message": "m"}' FROM generate_series(1, 3) n`,
      [id, workerId],
    );
    await own.query(`INSERT INTO steps ("jobId", name, output, fence) VALUES ($1, 'upload', '1', 2)`, [id]);
    const { status, body } = await own.get(`/dead-letters/${id}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      jobId: id,
      payload: { title: 'Buy milk' },
      correction: null,
      error: { stack: expect.stringContaining('at write') },
      steps: [{ name: 'upload', attempt: 2, at: expect.any(String) }],
      history: [],
      job: { state: 'dead', generation: 1, failures: 3, startedAt: expect.stringMatching(/Z$/) },
    });
    expect((body['failedAttempts'] as Record<string, unknown>[]).map(({ attempt }) => attempt)).toEqual([3, 2, 1]);
    expect((body['failedAttempts'] as Record<string, unknown>[])[0]).toMatchObject({
      workerId,
      failedAt: expect.any(String),
      error: { code: 'x' },
    });
  });

  test.each(['no-uuid', newId()])('%s is not found', async (id) => {
    for (const answer of [
      await own.get(`/dead-letters/${id}`),
      await own.post(`/dead-letters/${id}/replay`),
      await own.post(`/dead-letters/${id}/discard`, { reason: 'x' }),
      await own.call('PUT', `/dead-letters/${id}/payload`, { data: null }),
      await own.post(`/jobs/${id}/run-now`),
      await own.get(`/operations/${id}`),
      await own.call('DELETE', `/operations/${id}`),
    ]) {
      expect([answer.status, answer.body['code']]).toEqual([404, 'not_found']);
    }
  });

  test('is discarded with a reason, once', async () => {
    const id = await own.dead();
    expect(faultsOf(await own.post(`/dead-letters/${id}/discard`, { reason: '  ' }))).toEqual(['reason']);
    expect(await own.post(`/dead-letters/${id}/discard`, { reason: 'no use' })).toMatchObject({ status: 200 });
    expect((await own.post(`/dead-letters/${id}/discard`, { reason: 'again' })).body['code']).toBe(
      'job_state_conflict',
    );
    expect((await own.get(`/dead-letters/${id}`)).body).toMatchObject({
      state: 'discarded',
      history: [{ action: 'discarded', actor: 'API_KEY', reason: 'no use', at: expect.any(String) }],
    });
  });
});

describe('a replay', () => {
  test('makes the job runnable as its next generation', async () => {
    const id = await own.dead();
    expect(await own.post(`/dead-letters/${id}/replay`, { mode: 'restart' })).toMatchObject({
      status: 200,
      body: { jobId: id, state: 'replayed', generation: 2 },
    });
    expect((await own.get(`/dead-letters/${id}`)).body).toMatchObject({
      replays: 1,
      job: { state: 'queued', failures: 0 },
    });
  });

  test('twice at once happens once, and the other is told', async () => {
    const id = await own.dead();
    const client = await own.api.deps.database.pool.connect();
    let answers: Answer[];
    try {
      await client.query('BEGIN');
      await client.query('SELECT FROM jobs WHERE id = $1 FOR UPDATE', [id]);
      const both = Promise.all([own.post(`/dead-letters/${id}/replay`), own.post(`/dead-letters/${id}/replay`)]);
      await eventually(async () => {
        const waiting = await own.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.length === 2 ? true : undefined;
      }, 'both to wait for the job');
      await client.query('COMMIT');
      answers = await both;
    } finally {
      client.release();
    }
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]));
    expect(answers.find(({ status }) => status === 409)?.body['code']).toBe('job_state_conflict');
    expect((await own.get(`/dead-letters/${id}`)).body).toMatchObject({ replays: 1, job: { generation: 2 } });
  });

  test('is counted, and refused when there were five, but for force', async () => {
    const id = await own.dead({ letter: { replays: 4 } });
    const dieAgain = async () => {
      await own.query(`UPDATE jobs SET state = 'dead', "finishedAt" = now() WHERE id = $1`, [id]);
      await own.query(`UPDATE dead_letters SET state = 'open' WHERE "jobId" = $1`, [id]);
    };
    expect((await own.post(`/dead-letters/${id}/replay`)).status).toBe(200);
    await dieAgain();
    expect(await own.post(`/dead-letters/${id}/replay`, { mode: 'restart' })).toMatchObject({
      status: 409,
      body: { code: 'replay_limit_reached' },
    });
    expect((await own.get(`/dead-letters/${id}`)).body).toMatchObject({
      state: 'open',
      replays: 5,
      job: { state: 'dead' },
    });
    expect((await own.post(`/dead-letters/${id}/replay`, { force: true })).status).toBe(200);
    expect((await own.get(`/dead-letters/${id}`)).body).toMatchObject({ replays: 6 });
  });

  test('of a discarded one is possible, of a replayed one is not', async () => {
    const id = await own.dead();
    await own.post(`/dead-letters/${id}/discard`, { reason: 'too early' });
    expect((await own.post(`/dead-letters/${id}/replay`)).status).toBe(200);
    expect((await own.post(`/dead-letters/${id}/replay`)).body['code']).toBe('job_state_conflict');
  });

  test.each([
    [{ mode: 'again' }, 'mode'],
    [{ force: 'yes' }, 'force'],
    [{ forse: true }, 'forse'],
  ])('refuses %p', async (body, fault) => {
    const id = await own.dead();
    expect(faultsOf(await own.post(`/dead-letters/${id}/replay`, body))).toEqual([fault]);
  });
});

describe('a correction', () => {
  const put = (id: string, body: unknown) => own.call('PUT', `/dead-letters/${id}/payload`, body);
  const good = { title: 'Buy oat milk', content: 'Two of them.' };

  test('is kept beside the event, which stays as it is, and null removes it', async () => {
    const id = await own.dead();
    expect(await put(id, { data: good })).toMatchObject({ status: 200, body: { jobId: id, correction: good } });
    expect((await own.get(`/dead-letters/${id}`)).body).toMatchObject({
      payload: { title: 'Buy milk' },
      correction: good,
    });
    expect(await put(id, { data: null })).toMatchObject({ status: 200, body: { correction: null } });
    expect((await own.get(`/dead-letters/${id}`)).body).toMatchObject({
      correction: null,
      history: [{ action: 'corrected' }, { action: 'correction_removed', actor: 'API_KEY' }],
    });
    expect((await own.query('SELECT correction IS NULL AS none FROM jobs WHERE id = $1', [id]))[0]).toEqual({
      none: true,
    });
    expect(await own.actsOn(id)).toHaveLength(2);
  });

  test.each<[unknown, string[]]>([
    [{ data: { title: '', tags: 'x' } }, ['data.title', 'data.tags']],
    [{ data: { ...good, title: 'a\u0000b' } }, ['data.title']],
    [{ data: 'text' }, ['data']],
    [{}, ['data']],
    [{ data: good, extra: 1 }, ['extra']],
    [null, ['']],
  ])('of %j is refused with every fault, and nothing changes', async (body, faults) => {
    const id = await own.dead();
    const answer = await put(id, body);
    expect([answer.status, faultsOf(answer)]).toEqual([400, faults]);
    expect((await own.get(`/dead-letters/${id}`)).body).toMatchObject({ correction: null, history: [] });
  });

  test('cannot make the event be about something else', async () => {
    const id = await own.dead({ type: 'task.completion.requested', aggregateId: 't1', data: { taskId: 't1' } });
    expect(faultsOf(await put(id, { data: { taskId: 't2' } }))).toEqual(['data']);
    expect((await put(id, { data: { taskId: 't1' } })).status).toBe(200);
  });

  test.each(['queued', 'running', 'completed'])('of a job that is %s is refused', async (state) => {
    const { id } = await seedJob(own.api.deps.database, { state });
    expect((await put(id, { data: good })).body['code']).toBe('job_state_conflict');
  });
});

test('a job that waits can be run now', async () => {
  const { id } = await seedJob(own.api.deps.database, { state: 'scheduled', runAt: `now() + interval '1 day'` });
  expect(await own.post(`/jobs/${id}/run-now`)).toMatchObject({ status: 200, body: { state: 'queued' } });
  expect((await own.post(`/jobs/${await own.dead()}/run-now`)).body['code']).toBe('job_state_conflict');
});
