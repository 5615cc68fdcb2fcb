import { afterEach, describe, expect, test } from '@jest/globals';
import { NonRetryableError } from '../../src/execution/retry.js';
import {
  acceptLane,
  acting,
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
