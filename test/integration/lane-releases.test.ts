import { afterEach, describe, expect, test } from '@jest/globals';
import { appendOrdered } from '../../src/events/statements.js';
import { NonRetryableError } from '../../src/execution/retry.js';
import { newId } from '../../src/platform/ids.js';
import { meanwhile, somebodyWaits } from '../support/locks.js';
import {
  acceptLane,
  acting,
  appendOf,
  block,
  endSilently,
  isReleased,
  lanesIn,
  lanesOf,
  outboxOf,
  startOrdered,
  traced,
  untilState,
  upTo,
  watchOf,
} from '../support/ordered.js';
import { ask, stopProbes } from '../support/probe.js';

afterEach(stopProbes);

describe('the release of the next', () => {
  test('is made up for where the process died after the end of the head', async () => {
    const core = await startOrdered('redis', traced(), { ...block, withLaneReleases: false });
    await core.start();
    const [head, next] = await acceptLane(core, 2);
    await untilState(core, head, 'completed');
    expect(await isReleased(core, next)).toBe(false);
    await watchOf(core).runOnce();
    await untilState(core, next, 'completed');
    await watchOf(core).runOnce();
    expect(await lanesIn(core)).toEqual([]);
    expect((await core.testDatabase.pool.query('SELECT FROM lane_ends')).rowCount).toBe(0);
  });

  test.each(['cancelled', 'discarded'])('is made up for where the process died after its head was %s', async (how) => {
    const dies = traced(() => Promise.reject(new NonRetryableError('broken', 'broken')));
    const core = await startOrdered('redis', dies, { ...block, withLaneReleases: false });
    const [head, next] = await acceptLane(core, 2);
    if (how === 'cancelled') await core.administration.cancel(head, acting);
    else {
      await core.start();
      await untilState(core, head, 'dead');
      await watchOf(core).runOnce();
      await core.administration.discard(head, { ...acting, reason: 'a test' });
    }
    expect(await isReleased(core, next)).toBe(false);
    await watchOf(core).runOnce();
    expect(await isReleased(core, next)).toBe(true);
  });

  test('takes over the outbox row that a process left of the job when it died after dispatching it', async () => {
    const dies = traced(() => Promise.reject(new NonRetryableError('broken', 'broken')));
    const core = await startOrdered('redis', dies, { ...block, withLaneReleases: false, withFastPath: false });
    const { pool } = core.testDatabase;
    const [head, next] = await acceptLane(core, 2);
    const left = await pool.query(`DELETE FROM outbox WHERE "jobId" = $1 RETURNING *`, [head]);
    await endSilently(core, head);
    await core.lanes.release(await lanesOf(core));
    // The head is next again, as one that was replayed after others had passed it, and its old row is still there.
    await pool.query('DELETE FROM outbox');
    await pool.query(`INSERT INTO outbox SELECT * FROM json_populate_recordset(NULL::outbox, $1)`, [
      JSON.stringify(left.rows),
    ]);
    await pool.query(
      `UPDATE jobs SET state = 'queued', "finishedAt" = NULL, "isReleased" = false, generation = 2, position = 9 WHERE id = $1`,
      [head],
    );
    await endSilently(core, next);
    await core.lanes.release(await lanesOf(core));
    expect(await isReleased(core, head)).toBe(true);
    const { rows } = await pool.query('SELECT "jobId", generation, "claimedUntil" > now() AS leased FROM outbox');
    expect(rows).toEqual([{ jobId: head, generation: 2, leased: true }]);
  });

  test('sees a job that was accepted while it waited for the lane', async () => {
    const core = await startOrdered('redis', traced(), { ...block, withLaneReleases: false, withFastPath: false });
    const [head] = await acceptLane(core, 1);
    const id = newId();
    const { pool } = core.testDatabase;
    await meanwhile(pool, async (other) => {
      // An accepting process that has its place and has not committed yet.
      await other.query({ ...appendOrdered, values: [JSON.stringify([appendOf(id)]), 86_400_000] });
      await endSilently(core, head);
      const released = core.lanes.release(await lanesOf(core));
      await somebodyWaits(pool);
      await other.query('COMMIT');
      await released;
    });
    expect(await isReleased(core, id)).toBe(true);
    expect(await outboxOf(core)).toContain(id);
    expect(await lanesIn(core)).toEqual([{ head: id }]);
  });

  test('that takes the empty lane away leaves no job behind that was accepted at that moment', async () => {
    const core = await startOrdered('redis', traced(), { ...block, withFastPath: false });
    const [head] = await acceptLane(core, 1);
    const { pool } = core.testDatabase;
    await endSilently(core, head);
    const accepted = await meanwhile(pool, async (other) => {
      await other.query(`SELECT * FROM release_lanes($1, '{}', interval '0', interval '0')`, [await lanesOf(core)]);
      const answer = core.acceptor.accept('ada', ask(1, { aggregateId: 'one' }));
      await somebodyWaits(pool);
      await other.query('COMMIT');
      return answer;
    });
    expect(await isReleased(core, accepted.eventId)).toBe(true);
    expect(await lanesIn(core)).toEqual([{ head: accepted.eventId }]);
  });

  test('does not wait for a job that somebody is cancelling, and passes it over afterwards', async () => {
    const core = await startOrdered('redis', traced(), { ...block, withLaneReleases: false, withFastPath: false });
    const [head, next, last] = await acceptLane(core, 3);
    await endSilently(core, head);
    await meanwhile(core.testDatabase.pool, async (other) => {
      await other.query(`UPDATE jobs SET state = 'cancelled', "finishedAt" = now() WHERE id = $1`, [next]);
      await core.lanes.release(await lanesOf(core));
      await other.query('COMMIT');
    });
    expect(await isReleased(core, last)).toBe(false);
    await watchOf(core).runOnce();
    expect(await isReleased(core, last)).toBe(true);
  });

  test('by many at once releases one, once', async () => {
    const core = await startOrdered('redis', traced(), { ...block, withLaneReleases: false, withFastPath: false });
    const [head, next, last] = await acceptLane(core, 3);
    await endSilently(core, head);
    const lanes = await lanesOf(core);
    await Promise.all(
      upTo(8).map(() =>
        core.database.pool.query(`SELECT * FROM release_lanes($1, '{}', interval '0', interval '0')`, [lanes]),
      ),
    );
    expect(await outboxOf(core)).toEqual(expect.arrayContaining([next]));
    expect(await isReleased(core, last)).toBe(false);
  });
});

test('the lane watch leaves alone what is blocked, and looks at it no second time', async () => {
  const core = await startOrdered(
    'redis',
    traced(() => Promise.reject(new NonRetryableError('broken', 'broken'))),
  );
  await core.start();
  const [head, next] = await acceptLane(core, 2);
  await untilState(core, head, 'dead');
  await core.lanes.drain();
  const watch = watchOf(core);
  await watch.runOnce();
  expect(await isReleased(core, next)).toBe(false);
  expect((await core.testDatabase.pool.query('SELECT FROM lane_ends')).rowCount).toBe(0);
});
