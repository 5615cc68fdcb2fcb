import { afterEach, describe, expect, test } from '@jest/globals';
import { RequestCancellation } from '../../src/execution/cancellation.js';
import { createRequestQueries } from '../../src/execution/request-queries.js';
import { Steps } from '../../src/execution/steps.js';
import { systemClock } from '../../src/platform/clock.js';
import { meanwhile, somebodyWaits } from '../support/locks.js';
import { ask, Chained, startProbe, stopProbes, type Run } from '../support/probe.js';
import { eventually, within } from '../support/signals.js';

afterEach(stopProbes);

async function start(run: Run, mode: 'redis' | 'postgres' = 'redis', more: Parameters<typeof startProbe>[2] = {}) {
  const core = await startProbe(mode, run, more);
  const { database, publisher, onLanesEnded } = core;
  const requests = createRequestQueries(database);
  const cancellation = new RequestCancellation({ database, requests, publisher, onLanesEnded });
  const { pool } = core.testDatabase;
  const states = async () =>
    (await pool.query<{ queue: string; state: string }>('SELECT queue, state FROM jobs ORDER BY id')).rows;
  const ended = () =>
    core.entries.items.filter(({ room }) => room === 'u:ada').map(({ notification }) => notification.type);
  return { ...core, cancellation, requests, pool, states, ended };
}

const gate = () => {
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const pass = async () => {
    begun.resolve();
    await go.promise;
  };
  return { begun: within(begun.promise, 'the handler'), go: go.resolve, pass };
};

describe.each(['redis', 'postgres'] as const)('a cancelled request, on %s', (mode) => {
  test('ends what waits and what runs; nothing of the running attempt is committed any more', async () => {
    const { begun, go, pass } = gate();
    const left = Promise.withResolvers<unknown>();
    const core = await start(async ({ event, step, emit, notify }) => {
      if (event.data.n === 2) return;
      await pass();
      emit(Chained, { n: 1 });
      notify.success('probe.run.completed', {});
      await step
        .transaction('act', () => Promise.resolve(1))
        .catch((thrown: unknown) => {
          left.resolve(thrown);
          throw thrown;
        });
    }, mode);
    await core.start();
    await core.acceptor.accept('ada', ask(1, { requestId: 'req-1' }));
    await core.acceptor.accept('ada', ask(2, { requestId: 'req-1', delayMs: 3_600_000 }));
    await begun;
    const view = await core.cancellation.cancel('ada', 'req-1');
    expect(view).toMatchObject({
      requestId: 'req-1',
      status: 'cancelled',
      finishedAt: expect.any(String),
      attempts: 1,
    });
    go();
    // Its worker has heard of it, or its transaction found out.
    expect(await left.promise).toMatchObject({ why: 'cancelled' });
    await core.fleet.stop(5_000);
    expect(await core.states()).toEqual([
      { queue: 'probe.run.requested', state: 'cancelled' },
      { queue: 'probe.run.requested', state: 'cancelled' },
    ]);
    expect(core.ended()).toEqual(['probe.run.cancelled', 'probe.run.cancelled']);
    expect((await core.pool.query('SELECT FROM steps')).rowCount).toBe(0);
    expect((await core.pool.query('SELECT FROM outbox')).rowCount).toBe(0);
  });
});

test('a step of an attempt that nobody has told is refused by its transaction, and its effect undone', async () => {
  const core = await start(async () => undefined, 'redis', { withFastPath: false });
  await core.registry.start();
  const { eventId: id } = await core.acceptor.accept('ada', ask(1, { requestId: 'req-1' }));
  await core.claims.claim(id, 1);
  const { signal } = new AbortController();
  const { promise: aborted } = Promise.withResolvers<never>();
  const job = { id, fence: 1, userId: 'ada', requestId: 'req-1' };
  const { database, publisher } = core;
  const step = new Steps({
    database,
    publisher,
    job,
    recorded: new Map(),
    signal,
    aborted,
    clock: systemClock,
  }).toStep();
  const acting = step.transaction('act', async (tx) => {
    await tx.insertInto('projects').values({ userId: 'ada', id: 'p', name: 'made' }).execute();
    await core.cancellation.cancel('ada', 'req-1');
  });
  await expect(acting).rejects.toMatchObject({ why: 'cancelled' });
  await expect(step('call', () => Promise.resolve(1))).rejects.toMatchObject({ why: 'cancelled' });
  await expect(step.notify('say', { type: 'a.b.c', data: {} })).rejects.toMatchObject({ why: 'cancelled' });
  expect((await core.pool.query('SELECT FROM projects')).rowCount).toBe(0);
  expect((await core.pool.query('SELECT FROM steps')).rowCount).toBe(0);
});

test('cancelling ends what the roots caused, at any depth, and nothing of other requests or users', async () => {
  const core = await start(async ({ emit }) => emit(Chained, { n: 1 }), 'redis', { withFastPath: false });
  await core.registry.start();
  const one = await core.acceptor.accept('ada', ask(1, { requestId: 'req-1' }));
  await core.acceptor.accept('ada', ask(1, { requestId: 'req-2', causationId: one.eventId }));
  await core.acceptor.accept('eve', ask(1, { requestId: 'req-1' }));
  await runOnce(core, one.eventId);
  expect(await core.cancellation.cancel('ada', 'req-1')).toMatchObject({ status: 'completed' });
  const { rows } = await core.pool.query(
    'SELECT queue, "userId", "requestId", state FROM jobs ORDER BY queue, "userId", "requestId"',
  );
  expect(rows).toEqual([
    { queue: 'probe.echo.requested', userId: 'ada', requestId: 'req-1', state: 'cancelled' },
    { queue: 'probe.run.requested', userId: 'ada', requestId: 'req-1', state: 'completed' },
    { queue: 'probe.run.requested', userId: 'ada', requestId: 'req-2', state: 'queued' },
    { queue: 'probe.run.requested', userId: 'eve', requestId: 'req-1', state: 'queued' },
  ]);
});

describe('repeating a cancellation', () => {
  test('gives the same answer, one notification and one line in the audit log, also ten at once', async () => {
    const core = await start(async () => undefined);
    await core.acceptor.accept('ada', ask(1, { requestId: 'req-1' }));
    const answers = await Promise.all(Array.from({ length: 10 }, () => core.cancellation.cancel('ada', 'req-1')));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({ status: 'cancelled' });
    expect(core.ended()).toEqual(['probe.run.cancelled']);
    const { rows } = await core.pool.query('SELECT actor, action, target, details FROM audit_log');
    expect(rows).toEqual([{ actor: 'user:ada', action: 'request.cancelled', target: 'req-1', details: { jobs: 1 } }]);
  });

  test('of a request that ended by itself is refused; of another user’s or none there is nothing', async () => {
    const core = await start(async () => undefined);
    await core.start();
    await core.acceptor.accept('ada', ask(1, { requestId: 'req-1' }));
    await eventually(async () => ((await core.states())[0]?.state === 'completed' ? true : undefined), 'the end');
    await expect(core.cancellation.cancel('ada', 'req-1')).rejects.toMatchObject({ code: 'job_state_conflict' });
    expect(await core.cancellation.cancel('eve', 'req-1')).toBeUndefined();
    expect(await core.cancellation.cancel('ada', 'req-2')).toBeUndefined();
    expect((await core.pool.query('SELECT FROM audit_log')).rowCount).toBe(0);
  });
});

describe('a finish and a cancellation of the same job', () => {
  test('that the finish wins: the job is completed, and what it caused meanwhile is cancelled', async () => {
    const core = await start(async ({ emit }) => emit(Chained, { n: 1 }), 'redis', { withFastPath: false });
    await core.registry.start();
    const { eventId } = await core.acceptor.accept('ada', ask(1, { requestId: 'req-1' }));
    const answer = await meanwhile(core.pool, async (other) => {
      // Both wait for the row, the finish in front.
      await core.claims.claim(eventId, 1);
      await other.query('SELECT FROM jobs WHERE id = $1 FOR UPDATE', [eventId]);
      const finished = core.finishing.finish(finishOf(eventId));
      await somebodyWaits(core.pool);
      const cancelled = core.cancellation.cancel('ada', 'req-1');
      await somebodyWaits(core.pool, 2);
      await other.query('COMMIT');
      expect(await finished).not.toBeNull();
      return cancelled;
    });
    expect(answer).toMatchObject({ status: 'completed' });
    expect(await core.states()).toEqual([
      { queue: 'probe.run.requested', state: 'completed' },
      { queue: 'probe.echo.requested', state: 'cancelled' },
    ]);
    expect(core.ended().toSorted()).toEqual(['probe.echo.cancelled']);
  });

  test('that the cancellation wins: the job is cancelled, and nothing of the finish is committed', async () => {
    const core = await start(async () => undefined, 'redis', { withFastPath: false });
    await core.registry.start();
    const { eventId } = await core.acceptor.accept('ada', ask(1, { requestId: 'req-1' }));
    await core.claims.claim(eventId, 1);
    await meanwhile(core.pool, async (other) => {
      await other.query('SELECT FROM jobs WHERE id = $1 FOR UPDATE', [eventId]);
      const cancelled = core.cancellation.cancel('ada', 'req-1');
      await somebodyWaits(core.pool);
      const finished = core.finishing.finish(finishOf(eventId));
      await somebodyWaits(core.pool, 2);
      await other.query('COMMIT');
      expect(await cancelled).toMatchObject({ status: 'cancelled' });
      expect(await finished).toBeNull();
    });
    expect(await core.states()).toEqual([{ queue: 'probe.run.requested', state: 'cancelled' }]);
    expect(core.ended()).toEqual(['probe.run.cancelled']);
    expect(await core.claims.claim(eventId, 1)).toEqual({ kind: 'obsolete' });
  });
});

/** The end of an attempt that emits an event. */
function finishOf(jobId: string) {
  const id = jobId.replace(/^./, 'f');
  const emitted = {
    id,
    type: 'probe.echo.requested',
    aggregateId: 'one',
    aggregateType: 'probe',
    userId: 'ada',
    data: { n: 1 },
    version: 1,
    source: 'automation',
    causationId: jobId,
    correlationId: 'req-1',
    requestId: 'req-1',
    priority: 10,
    handled: true,
    lane: null,
  } as const;
  const end = { state: 'completed', delayMs: 0, failed: false, failure: null, result: null } as const;
  return { jobId, fence: 1, ...end, emitted: [emitted], notifications: [] };
}

async function runOnce(core: Awaited<ReturnType<typeof start>>, jobId: string): Promise<void> {
  const { signal } = new AbortController();
  const ignore = () => undefined;
  await core.executor.execute({ jobId, generation: 1, signal, log: ignore, progress: ignore });
}
