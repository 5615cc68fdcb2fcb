import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startBoard, type Board } from '../../test/support/board.js';
import { seedJob, type Mode, type Operations } from '../../test/support/operations.js';

describe.each<Mode>(['redis', 'postgres'])('the dead letters of Bull Board on %s', (mode) => {
  let board: Board;
  let own: Operations;

  beforeAll(async () => {
    board = await startBoard(mode);
    ({ own } = board);
  });

  afterAll(() => own.close());

  const letters = 'dead-letter';

  test('are there whatever the queue store has forgotten, with error and payload', async () => {
    const job = await seedJob(own.testDatabase, { state: 'dead' });
    const shown = await board.look(letters);
    const { rows } = await own.testDatabase.pool.query(
      `SELECT count(*)::int AS n FROM dead_letters WHERE state = 'open'`,
    );
    expect(shown.counts['failed']).toBe((rows[0] as { n: number }).n);
    expect(shown.jobs[0]).toMatchObject({ id: job.id, failedReason: 'the disk is full' });
    const { body } = await board.call(`/queues/${letters}/${job.id}`);
    expect(body).toMatchObject({
      status: 'failed',
      job: { data: { type: 'note.creation.requested', userId: 'ursula', payload: { title: 'Buy milk' } } },
    });
  });

  test('are there also when somebody has deleted what they are about', async () => {
    const { id } = await seedJob(own.testDatabase, { state: 'dead' });
    await own.testDatabase.pool.query('DELETE FROM jobs WHERE id = $1', [id]);
    await own.testDatabase.pool.query('DELETE FROM events WHERE id = $1', [id]);
    const shown = await board.look(letters);
    expect(shown.jobs).toHaveLength(shown.counts['failed'] ?? 0);
    expect(shown.jobs[0]).toMatchObject({ id, failedReason: 'the disk is full', data: { userId: 'ursula' } });
    expect((await board.call(`/queues/${letters}/${id}`)).body).toMatchObject({
      job: { data: { payload: null, requestId: null } },
    });
    expect(await board.press(`${id}/retry`, letters)).toMatchObject({ status: 409 });
    expect((await board.press('retry/failed', letters)).status).toBe(200);
    await own.testDatabase.pool.query('DELETE FROM dead_letters WHERE "jobId" = $1', [id]);
  });

  test('carry the log of the attempt, the steps on record and earlier replays', async () => {
    const job = await board.deadJob();
    await own.testDatabase.pool.query(
      `INSERT INTO failed_attempts ("jobId", attempt, error) VALUES ($1, 1, '{"message": "first", "stack": "first stack"}'), ($1, 2, '{"message": "second", "stack": "second stack"}')`,
      [job.id],
    );
    await own.testDatabase.pool.query(
      `INSERT INTO steps ("jobId", name, output, fence) VALUES ($1, 'upload-to-storage', '1', 1)`,
      [job.id],
    );
    await own.testDatabase.pool.query(
      `UPDATE dead_letters SET history = '[{"at": "2026-01-01", "action": "replayed", "actor": "otto"}]' WHERE "jobId" = $1`,
      [job.id],
    );
    const { body } = await board.call(`/queues/${letters}/${job.id}/logs`);
    expect(body).toEqual([
      expect.stringContaining('writing the file'),
      expect.stringContaining('attempt 1 failed: first'),
      expect.stringContaining('attempt 2 failed: second'),
      expect.stringContaining('upload-to-storage'),
      expect.stringContaining('replayed by otto'),
    ]);
    const shown = (await board.call(`/queues/${letters}/${job.id}`)).body['job'] as { stacktrace: string[] };
    // The board turns them round: the newest first.
    expect(shown.stacktrace).toEqual(['second stack', 'first stack']);
  });

  test("retry replays, and the failed ticket in the job's own queue goes too", async () => {
    const job = await board.deadJob();
    expect((await board.press(`${job.id}/retry`, letters)).status).toBe(204);
    expect(await board.stateOf(job)).toEqual({ state: 'queued', generation: 2, letter: 'replayed' });
    expect(await own.ticket(job.ticket)).toBeUndefined();
    expect((await board.press(`${job.id}/retry`, letters)).status).toBe(404);
  });

  test('remove discards', async () => {
    const job = await board.deadJob();
    expect((await board.press(`${job.id}/clean`, letters)).status).toBe(204);
    expect(await board.stateOf(job)).toMatchObject({ letter: 'discarded' });
  });

  test('one that was replayed five times is refused with the reason', async () => {
    const job = await seedJob(own.testDatabase, { state: 'dead', letter: { replays: 5 } });
    expect(await board.press(`${job.id}/retry`, letters)).toMatchObject({
      status: 409,
      body: { message: expect.stringContaining('replayed 5 times') },
    });
    expect(await board.stateOf(job)).toMatchObject({ state: 'dead', letter: 'open' });
  });

  test('retry all replays every open one but those that were replayed too often', async () => {
    const tired = await seedJob(own.testDatabase, { state: 'dead', letter: { replays: 5 } });
    const jobs = [
      await seedJob(own.testDatabase, { state: 'dead' }),
      await seedJob(own.testDatabase, { state: 'dead' }),
    ];
    expect((await board.press('retry/failed', letters)).status).toBe(200);
    for (const job of jobs) expect(await board.stateOf(job)).toMatchObject({ state: 'queued', letter: 'replayed' });
    const listed = (await board.look(letters)).jobs.map(({ id }) => id);
    expect(jobs.filter(({ id }) => listed.includes(id))).toEqual([]);
    expect(await board.stateOf(tired)).toMatchObject({ state: 'dead', letter: 'open' });
  });

  test('cannot be paused, and ids that are none are not found', async () => {
    expect((await board.press('pause', letters)).status).toBe(403);
    expect((await board.call(`/queues/${letters}/no-such-job`)).status).toBe(404);
  });
});
