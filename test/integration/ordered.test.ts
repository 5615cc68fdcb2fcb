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
  effectsOf,
  endedAll,
  endSilently,
  isReleased,
  lanesIn,
  lanesOf,
  otherAcceptor,
  outboxOf,
  skip,
  startOrdered,
  traced,
  untilState,
  upTo,
  watchOf,
  type Effect,
} from '../support/ordered.js';
import { ask, Chained, stopProbes } from '../support/probe.js';
import { eventually } from '../support/signals.js';

afterEach(stopProbes);

describe.each(['redis', 'postgres'] as const)('the jobs of an aggregate, on %s', (mode) => {
  test('start and take effect one after the other in the order of acceptance', async () => {
    const core = await startOrdered(mode, traced());
    await core.start();
    const bodies = upTo(40).map((n) => ask(n, { aggregateId: n % 3 === 0 ? 'one' : 'two' }));
    await core.acceptor.acceptAll('ada', bodies);
    await endedAll(core, 40);
    const expected = new Map([
      ['one', upTo(40).filter((n) => n % 3 === 0)],
      ['two', upTo(40).filter((n) => n % 3 !== 0)],
    ]);
    expect(await effectsOf(core, 'begun')).toEqual(expected);
    expect(await effectsOf(core, 'done')).toEqual(expected);
    const { rows } = await core.testDatabase.pool.query<Effect & { what: string }>(
      'SELECT * FROM effects ORDER BY seq',
    );
    // Never two of a lane between begun and done.
    for (const lane of Map.groupBy(rows, ({ aggregate }) => aggregate).values()) {
      expect(lane.map(({ what }) => what)).toEqual(lane.map((_, index) => (index % 2 === 0 ? 'begun' : 'done')));
    }
    await eventually(async () => ((await lanesIn(core)).length === 0 ? true : undefined), 'the empty lanes to go');
  });

  test('are not overtaken by the next while they are tried again, or wait for their time', async () => {
    const core = await startOrdered(
      mode,
      traced((n, attempt) => {
        if (n === 1 && attempt < 3) throw new Error('not yet');
      }),
    );
    await core.start();
    await core.acceptor.accept('ada', ask(0, { aggregateId: 'one', delayMs: 300 }));
    await core.acceptor.acceptAll('ada', [ask(1, { aggregateId: 'one' }), ask(2, { aggregateId: 'one' })]);
    await endedAll(core, 3);
    expect(await effectsOf(core, 'begun')).toEqual(new Map([['one', [0, 1, 1, 1, 2]]]));
  });
});

test('emitted events of an ordered type run in the order in which they were emitted', async () => {
  const core = await startOrdered('redis', async ({ emit }) => {
    for (const n of upTo(20)) emit(Chained, { n });
  });
  await core.start();
  await core.acceptor.accept('ada', ask(1, { aggregateId: 'one' }));
  await core.entries.first(({ notification }) => (notification.data as { n?: number }).n === 19, 'the last echo');
  const heard = core.entries.items.filter(({ room }) => room === 'u:ada').map(({ notification }) => notification.data);
  expect(heard).toEqual(upTo(20).map((n) => ({ n })));
});

describe('places', () => {
  test('are given in the order of a batch, also where it takes several statements', async () => {
    const core = await startOrdered('redis', traced(), { ...block, withFastPath: false });
    const answers = await core.acceptor.acceptAll(
      'ada',
      upTo(350).map((n) => ask(n, { aggregateId: 'one' })),
    );
    const { rows } = await core.testDatabase.pool.query<{ id: string }>('SELECT id FROM jobs ORDER BY position');
    expect(rows.map(({ id }) => id)).toEqual(answers.map((answer) => ('eventId' in answer ? answer.eventId : '')));
  });

  test('are without gap or double however many processes accept at once, and only the head is released', async () => {
    const core = await startOrdered('redis', traced(), { ...block, withFastPath: false });
    const another = otherAcceptor(core);
    await Promise.all(
      upTo(200).map((n) =>
        (n % 2 === 0 ? core.acceptor : another)
          // The last 81 come with a key that another body has used in the other process.
          .accept('ada', ask(n, { aggregateId: 'one' }), { idempotencyKey: `key-${n % 119}` })
          .catch(() => undefined),
      ),
    );
    const { rows } = await core.testDatabase.pool.query<{ position: string; isReleased: boolean }>(
      'SELECT position::int, "isReleased" FROM jobs ORDER BY position',
    );
    expect(rows).toEqual(upTo(119).map((n) => ({ position: n + 1, isReleased: n === 0 })));
    expect(await outboxOf(core)).toHaveLength(1);
    expect(await lanesIn(core)).toHaveLength(1);
  });

  test('of two users are in lanes of their own, whatever their ids hold', async () => {
    const core = await startOrdered('redis', traced(), { ...block, withFastPath: false });
    const ids = await Promise.all(
      ['ada', 'eve', 'ada","x'].map((user) => core.acceptor.accept(user, ask(1, { aggregateId: 'one' }))),
    );
    for (const { eventId } of ids) expect(await isReleased(core, eventId)).toBe(true);
    expect(await lanesIn(core)).toHaveLength(3);
  });
});

describe('a dead head', () => {
  const dieOnce = () => {
    let isMended = false;
    const run = traced((n) => {
      if (n === 0 && !isMended) throw new NonRetryableError('broken', 'it is broken');
    });
    return { run, mend: () => (isMended = true) };
  };

  test('that blocks holds those behind it until it is replayed, and is the head again', async () => {
    const { run, mend } = dieOnce();
    const core = await startOrdered('redis', run, block);
    await core.start();
    const [head, next] = await acceptLane(core, 3);
    await untilState(core, head, 'dead');
    await core.lanes.release(await lanesOf(core));
    expect(await isReleased(core, next)).toBe(false);
    mend();
    await core.administration.replay(head, { ...acting, mode: 'resume' });
    await endedAll(core, 3);
    expect(await effectsOf(core, 'done')).toEqual(new Map([['one', [0, 1, 2]]]));
  });

  test('that blocks lets them go when it is discarded, and takes a place at their end when it is replayed after all', async () => {
    const { run, mend } = dieOnce();
    const core = await startOrdered('redis', run, block);
    await core.start();
    const [head, next, last] = await acceptLane(core, 3);
    await untilState(core, head, 'dead');
    await core.fleet.stop(1_000);
    await core.administration.discard(head, { ...acting, reason: 'a test' });
    await eventually(async () => ((await isReleased(core, next)) === true ? true : undefined), 'the next');
    mend();
    await core.administration.replay(head, { ...acting, mode: 'resume' });
    expect(await isReleased(core, head)).toBe(false);
    await core.administration.runNow(head, acting);
    expect(await isReleased(core, head)).toBe(false);
    await endSilently(core, next);
    await core.lanes.release(await lanesOf(core));
    expect(await isReleased(core, head)).toBe(false);
    await endSilently(core, last);
    await core.lanes.release(await lanesOf(core));
    expect(await isReleased(core, head)).toBe(true);
  });

  test('that is skipped holds nobody', async () => {
    const core = await startOrdered('redis', dieOnce().run, skip);
    await core.start();
    await acceptLane(core, 3);
    await endedAll(core, 3);
    expect(await effectsOf(core, 'done')).toEqual(new Map([['one', [1, 2]]]));
  });
});

test('a lane behind a dead head goes on once its handler skips such', async () => {
  const dies = traced(() => Promise.reject(new NonRetryableError('broken', 'broken')));
  const core = await startOrdered('redis', dies, block);
  await core.start();
  const [head, next] = await acceptLane(core, 2);
  await untilState(core, head, 'dead');
  await watchOf(core).runOnce();
  expect(await isReleased(core, next)).toBe(false);
  await watchOf(core, ['probe.run.requested']).runOnce();
  expect(await isReleased(core, next)).toBe(true);
});

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

test('a job that is cancelled in the middle of its lane is passed over; one at its head lets the next go', async () => {
  const core = await startOrdered('redis', traced());
  const [head, middle, last] = await acceptLane(core, 3);
  await core.administration.cancel(middle, acting);
  await core.lanes.drain();
  expect(await lanesIn(core)).toEqual([{ head }]);
  await core.administration.cancel(head, acting);
  await core.lanes.drain();
  expect(await lanesIn(core)).toEqual([{ head: last }]);
  await core.start();
  await endedAll(core, 3);
  expect(await effectsOf(core, 'done')).toEqual(new Map([['one', [2]]]));
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
