import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql as text } from 'kysely';
import { z } from 'zod';
import { defineEvent } from '../events/definition.js';
import type { AttemptContext } from '../execution/handler.js';
import { exponential, NonRetryableError } from '../execution/retry.js';
import { defineFailure, defineFeature, defineHandler, type Feature } from '../features/feature.js';
import type { Services } from '../features/services.js';
import type { Sql } from '../platform/database.js';
import { newId } from '../platform/ids.js';
import { startTestKit, type TestKit } from './index.js';

const Asked = defineEvent({
  type: 'sample.run.requested',
  aggregateType: 'sample',
  origin: 'client',
  data: z.object({ name: z.string() }),
});
const Done = defineEvent({
  type: 'sample.run.completed',
  aggregateType: 'sample',
  origin: 'handler',
  data: z.object({ name: z.string() }),
});
const Failed = defineFailure('sample.run.failed', 'sample');

type Context = AttemptContext<{ name: string }, Services>;

/** A handler of each kind, told apart by the event's data; a test puts its own in. */
const handlers = new Map<string, (context: Context) => Promise<void>>();
const called: string[] = [];

const sample: Feature = defineFeature({
  name: 'sample',
  events: [Asked, Done, Failed],
  reads: [],
  handlers: [
    defineHandler({
      on: Asked,
      emits: [Done],
      failure: Failed,
      retry: { attempts: 3, backoff: exponential({ baseMs: 60_000, jitter: 0 }) },
      timeoutMs: 30_000,
      run: async (context) => handlers.get(context.event.data.name)?.(context),
    }),
  ],
});

async function insertProject(tx: Sql, userId: string, id: string, name: string): Promise<void> {
  await tx.insertInto('projects').values({ userId, id, name }).execute();
}

/** One of each: a notification on the way, an outside effect, a transaction, an emitted event and an end. */
handlers.set('whole', async ({ event, step, emit, notify, progress }) => {
  await step.notify('announce', { type: 'sample.run.started', data: {} });
  await step('call', async ({ idempotencyKey }) => {
    called.push(idempotencyKey);
    return { at: new Date().toISOString(), id: newId() };
  });
  progress(50, 'Half');
  await step.transaction('insert', (tx) => insertProject(tx, event.userId, newId(), 'made'));
  emit(Done, event.data);
  notify.success('sample.run.completed', { name: event.data.name });
});

let kit: TestKit;
beforeAll(async () => {
  kit = await startTestKit({ features: [sample] });
});
afterAll(() => kit.end());

const ask = (name: string, more: object = {}) => ({ type: 'sample.run.requested', data: { name }, ...more });
const made = (userId: string) => kit.sql.selectFrom('projects').select('name').where('userId', '=', userId).execute();

test('a run tells its outcome, steps, events, notifications and progress', async () => {
  const run = await kit.run('ada', ask('whole'));
  expect(run).toMatchObject({
    outcome: 'completed',
    attempts: 1,
    error: undefined,
    failures: [],
    result: { name: 'whole' },
    progress: [{ percent: 50, message: 'Half' }],
    idempotencyKeys: { call: [`${run.eventId}:call`] },
    emitted: [{ type: 'sample.run.completed', data: { name: 'whole' }, causationId: run.eventId }],
  });
  expect(run.notifications.map(({ type, status }) => [type, status])).toEqual([
    ['sample.run.started', 'pending'],
    ['sample.run.completed', 'success'],
  ]);
  expect(Object.keys(run.steps).toSorted()).toEqual(['announce', 'call', 'insert']);
  expect(await made('ada')).toHaveLength(1);
});

describe('a crash', () => {
  test.each([
    ['before a step', { crashBefore: 'call' }, { steps: ['announce'], calls: 0, rows: 0 }],
    ['between a step’s effect and its record', { crashDuring: 'call' }, { steps: ['announce'], calls: 1, rows: 0 }],
    ['after a step', { crashAfter: 'call' }, { steps: ['announce', 'call'], calls: 1, rows: 0 }],
    ['inside a transaction', { crashDuring: 'insert' }, { steps: ['announce', 'call'], calls: 1, rows: 0 }],
    ['after a transaction', { crashAfter: 'insert' }, { steps: ['announce', 'call', 'insert'], calls: 1, rows: 1 }],
    [
      'before the commit of the end',
      { crashOnCommit: 'before' },
      { steps: ['announce', 'call', 'insert'], calls: 1, rows: 1 },
    ],
  ] as const)(
    '%s leaves what a killed process leaves, and the next attempt goes on from there',
    async (what, how, left) => {
      const user = `crash ${what}`;
      const before = called.length;
      const { eventId } = await kit.accept(user, ask('whole'));
      kit.disturb(eventId, how);
      expect(await kit.attempt(eventId)).toEqual({ outcome: 'crashed', waitMs: 0 });
      const crashed = await kit.report(eventId);
      expect(crashed).toMatchObject({ outcome: 'unfinished', attempts: 1, failures: [], emitted: [] });
      expect(Object.keys(crashed.steps).toSorted()).toEqual(left.steps);
      expect(called.length - before).toBe(left.calls);
      expect(await made(user)).toHaveLength(left.rows);

      const run = await kit.runToEnd(eventId);
      expect(run).toMatchObject({ outcome: 'completed', attempts: 2, failures: [{ attempt: 1, code: 'crashed' }] });
      expect(run.emitted).toHaveLength(1);
      expect(run.notifications).toHaveLength(2);
      expect(await made(user)).toHaveLength(1);
    },
  );

  test('after the commit of the end leaves an end that nothing changes', async () => {
    const { eventId } = await kit.accept('late', ask('whole'));
    kit.disturb(eventId, { crashOnCommit: 'after' });
    expect(await kit.attempt(eventId)).toEqual({ outcome: 'crashed', waitMs: 0 });
    expect(await kit.report(eventId)).toMatchObject({ outcome: 'completed', attempts: 1 });
    expect(await kit.attempt(eventId)).toEqual({ outcome: 'refused', waitMs: 0 });
    expect((await kit.report(eventId)).notifications).toHaveLength(2);
  });

  test('ends all that the attempt was doing: it writes, catches and begins nothing any more', async () => {
    const opened = Promise.withResolvers<void>();
    const crashed = Promise.withResolvers<void>();
    const afterwards: string[] = [];
    const besides = async ({ event, services, step }: Context) => {
      const open = services.sql.transaction().execute(async (tx) => {
        await insertProject(tx, event.userId, newId(), 'open');
        opened.resolve();
        await text`SELECT pg_sleep(600)`.execute(tx);
      });
      void open.catch(() => afterwards.push('caught'));
      await crashed.promise;
      // As many as need a new connection too.
      for (const read of [1, 2, 3, 4].map(() => services.sql.selectFrom('projects').select('id').execute())) {
        void read.then(
          () => afterwards.push('read'),
          () => afterwards.push('read in vain'),
        );
      }
      await step('zombie', async () => void afterwards.push('step'));
    };
    handlers.set('besides', async (context) => {
      if (context.attempt > 1) return;
      void besides(context).then(
        () => afterwards.push('returned'),
        () => afterwards.push('threw'),
      );
      await opened.promise;
      await context.step('last', async () => null);
    });
    const { eventId } = await kit.accept('besides', ask('besides'));
    kit.disturb(eventId, { crashAfter: 'last' });
    expect((await kit.attempt(eventId)).outcome).toBe('crashed');
    crashed.resolve();
    const backends = await text`SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'`.execute(kit.sql);
    expect(backends.rows).toEqual([]);
    expect(await kit.runToEnd(eventId)).toMatchObject({ outcome: 'completed', attempts: 2, steps: { last: null } });
    expect(await made('besides')).toEqual([]);
    expect(afterwards).toEqual([]);
  });

  test('may follow another: the job goes on until it is through', async () => {
    const run = await kit.run('often', ask('whole'), {
      crashBefore: 'call',
      crashDuring: 'call',
      crashAfter: 'call',
      crashOnCommit: 'before',
    });
    expect(run).toMatchObject({ outcome: 'completed', attempts: 5 });
    expect(run.idempotencyKeys['call']).toEqual([`${run.eventId}:call`, `${run.eventId}:call`]);
  });

  test('of one run is not one of another that runs at the same time', async () => {
    const entered = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    handlers.set('beside', async () => {
      entered.resolve();
      await goOn.promise;
    });
    const other = kit.run('beside', ask('beside'));
    await entered.promise;
    await kit.run('crasher', ask('whole'), { crashAfter: 'call' });
    goOn.resolve();
    expect(await other).toMatchObject({ outcome: 'completed', attempts: 1 });
  });

  test('that never comes about fails the run, with the points that there are', async () => {
    await expect(kit.run('typo', ask('whole'), { crashAfter: 'upload' })).rejects.toThrow(
      /never came to after:upload; they passed claimed, before:announce, after:announce, before:call/,
    );
  });
});

describe('failures', () => {
  test('are tried again to the end, over their back-offs', async () => {
    handlers.set('flaky', async ({ attempt, notify }) => {
      if (attempt < 3) throw new Error(`attempt ${attempt}`);
      notify.success('sample.run.completed', { attempt });
    });
    const before = kit.clock.now();
    const run = await kit.run('ben', ask('flaky'));
    expect(run).toMatchObject({ outcome: 'completed', attempts: 3, result: { attempt: 3 }, error: undefined });
    expect(run.failures.map(({ message }) => message)).toEqual(['attempt 1', 'attempt 2']);
    // 60 s and 120 s, which nobody waited for.
    expect(kit.clock.now() - before).toBeGreaterThan(179_000);
  });

  test('wait for the kit’s clock', async () => {
    const { eventId } = await kit.accept('eve', ask('whole'));
    kit.disturb(eventId, { failOnce: 'call' });
    const failed = await kit.attempt(eventId);
    expect(failed.outcome).toBe('retry');
    expect(failed.waitMs).toBeGreaterThan(55_000);
    kit.clock.advance(50_000);
    expect(await kit.attempt(eventId)).toMatchObject({ outcome: 'early' });
    kit.clock.advance(10_000);
    expect(await kit.attempt(eventId)).toEqual({ outcome: 'completed', waitMs: 0 });
  });

  test('that last end as a dead letter, which a replay resumes or restarts', async () => {
    const died = await kit.run('dora', ask('whole'), { dieAfter: 'insert' });
    expect(died).toMatchObject({
      outcome: 'dead',
      attempts: 1,
      error: { code: 'planned_death' },
      emitted: [{ type: 'sample.run.failed' }],
    });
    expect(died.notifications.at(-1)).toMatchObject({ type: 'sample.run.failed', status: 'error' });
    const resumed = await kit.replay(died.eventId, 'resume');
    expect(resumed).toMatchObject({ outcome: 'completed', attempts: 2 });
    expect(resumed.idempotencyKeys['call']).toHaveLength(1);

    const again = await kit.run('dora', ask('whole'), { dieAfter: 'insert' });
    const restarted = await kit.replay(again.eventId, 'restart');
    expect(restarted.idempotencyKeys['call']).toEqual([`${again.eventId}:call`, `${again.eventId}:call`]);
  });

  test('of the handler’s own choosing tell their code and reason', async () => {
    handlers.set('hopeless', async () => {
      throw new NonRetryableError('no_hope', 'There is none.');
    });
    const run = await kit.run('finn', ask('hopeless'));
    expect(run).toMatchObject({ outcome: 'dead', attempts: 1, error: { code: 'no_hope', reason: 'There is none.' } });
  });

  test('by timeout come when the clock is put forward', async () => {
    const entered = Promise.withResolvers<void>();
    handlers.set('slow', async ({ signal }) => {
      entered.resolve();
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    });
    const { eventId } = await kit.accept('gus', ask('slow'));
    const attempt = kit.attempt(eventId);
    await entered.promise;
    kit.clock.advance(30_000);
    expect((await attempt).outcome).toBe('retry');
    expect((await kit.report(eventId)).failures).toMatchObject([{ code: 'attempt_timeout' }]);
  });
});

describe('waiting', () => {
  test('a delayed event is early until the clock has come to its time', async () => {
    kit.clock.advance(5_000_000);
    for (const when of [
      () => ({ delayMs: 3_600_000 }),
      () => ({ runAt: new Date(kit.clock.now() + 3_600_000).toISOString() }),
    ]) {
      const { eventId } = await kit.accept('hal', ask('whole', when()));
      expect((await kit.attempt(eventId)).outcome).toBe('early');
      kit.clock.advance(3_590_000);
      expect((await kit.attempt(eventId)).outcome).toBe('early');
      kit.clock.advance(10_000);
      expect((await kit.attempt(eventId)).outcome).toBe('completed');
    }
  });

  test('a request that is cancelled meanwhile never runs, and its user is told', async () => {
    const { eventId, requestId } = await kit.accept('ida', ask('whole', { delayMs: 1_000 }));
    await kit.cancel(requestId);
    const run = await kit.runToEnd(eventId);
    expect(run).toMatchObject({ outcome: 'cancelled', attempts: 0, emitted: [] });
    expect(run.notifications).toMatchObject([{ type: 'sample.run.cancelled' }]);
  });
});

test('an event that only handlers emit is run as if one had', async () => {
  await expect(kit.accept('jan', { type: 'sample.run.failed', data: { code: 1 } })).rejects.toMatchObject({
    name: 'ZodError',
  });
  const { eventId } = await kit.accept('jan', { type: 'sample.run.completed', data: { name: 'x' } });
  await expect(kit.runToEnd(eventId)).rejects.toThrow('has no handler among the features');
});
