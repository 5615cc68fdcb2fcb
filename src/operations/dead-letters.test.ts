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

  test('carry the log of the attempt, the steps on record and earlier replays', async () => {
    const job = await board.deadJob();
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
      expect.stringContaining('upload-to-storage'),
      expect.stringContaining('replayed by otto'),
    ]);
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

  test('retry all replays every open one', async () => {
    const jobs = [
      await seedJob(own.testDatabase, { state: 'dead' }),
      await seedJob(own.testDatabase, { state: 'dead' }),
    ];
    expect((await board.press('retry/failed', letters)).status).toBe(200);
    for (const job of jobs) expect(await board.stateOf(job)).toMatchObject({ state: 'queued', letter: 'replayed' });
    const listed = (await board.look(letters)).jobs.map(({ id }) => id);
    expect(jobs.filter(({ id }) => listed.includes(id))).toEqual([]);
  });

  test('cannot be paused, and ids that are none are not found', async () => {
    expect((await board.press('pause', letters)).status).toBe(403);
    expect((await board.call(`/queues/${letters}/no-such-job`)).status).toBe(404);
  });
});
