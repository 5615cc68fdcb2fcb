import { afterEach, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineEvent } from '../../src/events/definition.js';
import { defineHandlerFor, failureData, type AttemptContext } from '../../src/execution/handler.js';
import { exponential, NonRetryableError } from '../../src/execution/retry.js';
import { createRequestQueries } from '../../src/execution/request-queries.js';
import type { Json } from '../../src/platform/text.js';
import { Reconciler } from '../../src/dispatch/reconciler.js';
import { systemClock } from '../../src/platform/clock.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { pino } from 'pino';
import { startCore, type Core, type QueueMode } from '../support/core.js';
import type { TestDatabase } from '../support/database.js';
import { eventually } from '../support/signals.js';

const Asked = defineEvent({
  type: 'probe.run.requested',
  aggregateType: 'probe',
  origin: 'client',
  data: z.object({ n: z.number() }),
});
const Done = defineEvent({
  type: 'probe.run.completed',
  aggregateType: 'probe',
  origin: 'handler',
  data: z.object({ n: z.number() }),
});
const Failed = defineEvent({ type: 'probe.run.failed', aggregateType: 'probe', origin: 'handler', data: failureData });
const Chained = defineEvent({
  type: 'probe.echo.requested',
  aggregateType: 'probe',
  origin: 'handler',
  data: z.object({ n: z.number() }),
});
const EchoFailed = defineEvent({
  type: 'probe.echo.failed',
  aggregateType: 'probe',
  origin: 'handler',
  data: failureData,
});

type Run = (context: AttemptContext<{ n: number }, null>) => Promise<Json | void>;

const probe = (run: Run) =>
  defineHandlerFor<null>()({
    on: Asked,
    emits: [Done, Chained],
    failure: Failed,
    retry: { attempts: 3, backoff: exponential({ baseMs: 5, jitter: 0 }) },
    run,
  });

const echo = defineHandlerFor<null>()({
  on: Chained,
  emits: [],
  failure: EchoFailed,
  async run({ event, notify }) {
    notify.success('probe.echo.completed', { n: event.data.n });
  },
});

let core: Core | undefined;
afterEach(async () => {
  await core?.stop();
  core = undefined;
});

async function start(mode: QueueMode, run: Run, more: { withFastPath?: boolean } = {}) {
  const started = await startCore<null>({
    mode,
    events: [Asked, Done, Failed, Chained, EchoFailed],
    handlers: [probe(run), echo],
    services: null,
    ...more,
  });
  core = started as unknown as Core;
  return started;
}

const ask = (n = 1, more = {}) => ({ type: 'probe.run.requested', data: { n }, ...more });

describe.each<QueueMode>(['postgres', 'redis'])('an accepted event (%s)', (mode) => {
  test('is executed, and its result, events and notifications are committed together', async () => {
    const {
      acceptor,
      start: run,
      entries,
      database,
      testDatabase,
    } = await start(mode, async ({ event, step, emit, notify }) => {
      const doubled = await step('double', async () => event.data.n * 2);
      const sum = await step.transaction('add', async (tx) => {
        const rows = await tx.selectFrom('jobs').select('id').where('id', '=', event.id).execute();
        return doubled + rows.length;
      });
      emit(Done, { n: sum });
      emit(Chained, { n: sum });
      notify.success('probe.run.completed', { n: sum });
    });
    await run();
    const { eventId, requestId } = await acceptor.accept('ada', ask(20));

    const done = await entries.first(
      ({ notification }) => notification.type === 'probe.run.completed',
      'the notification',
    );
    expect(done.notification).toMatchObject({ status: 'success', data: { n: 41 }, requestId });
    await entries.first(
      ({ notification }) => notification.type === 'probe.echo.completed',
      'the emitted event to be handled',
    );

    const view = await createRequestQueries(database).find('ada', requestId);
    expect(view).toMatchObject({
      status: 'completed',
      attempts: 1,
      result: { n: 41 },
      error: null,
      progress: { percent: 100 },
    });
    expect(await createRequestQueries(database).find('eve', requestId)).toBeUndefined();
    const { rows } = await testDatabase.pool.query<{ type: string; correlationId: string }>(
      'SELECT type, "correlationId" FROM events WHERE "causationId" = $1 ORDER BY type',
      [eventId],
    );
    expect(rows.map(({ type }) => type)).toEqual(['probe.echo.requested', 'probe.run.completed']);
    expect(rows.every(({ correlationId }) => correlationId === requestId)).toBe(true);
  });

  test('is tried again after a failure, without running recorded steps again', async () => {
    const ran: string[] = [];
    const {
      acceptor,
      start: run,
      entries,
    } = await start(mode, async ({ attempt, step, notify }) => {
      await step('first', async () => void ran.push('first'));
      if (attempt === 1) throw new Error('not yet');
      await step('second', async () => void ran.push('second'));
      notify.success('probe.run.completed', { attempt });
    });
    await run();
    await acceptor.accept('ada', ask());
    const done = await entries.first(({ notification }) => notification.status === 'success', 'success');
    expect(done.notification.data).toEqual({ attempt: 2 });
    expect(ran).toEqual(['first', 'second']);
  });

  test('is a dead letter after three failures, and its user is told once', async () => {
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
      database,
    } = await start(mode, async () => {
      throw new Error('broken 4711');
    });
    await run();
    const { eventId, requestId } = await acceptor.accept('ada', ask());
    const [toUser, toRequest] = await entries.count(2, 'notifications');
    expect(new Set([toUser?.room, toRequest?.room])).toEqual(new Set([`r:ada:${requestId}`, 'u:ada']));
    expect(toUser?.notification).toMatchObject({
      type: 'probe.run.failed',
      status: 'error',
      error: { code: 'handler_failed' },
    });
    expect(JSON.stringify(toUser?.notification)).not.toContain('4711');
    const letters = await testDatabase.pool.query('SELECT * FROM dead_letters WHERE "jobId" = $1', [eventId]);
    expect(letters.rows).toMatchObject([{ state: 'open', attempts: 3, error: { message: 'broken 4711' } }]);
    expect(await createRequestQueries(database).find('ada', requestId)).toMatchObject({
      status: 'failed',
      attempts: 3,
    });
    const events = await testDatabase.pool.query(`SELECT data FROM events WHERE type = 'probe.run.failed'`);
    expect(events.rows).toMatchObject([{ data: { attempts: 3 } }]);
  });

  test('is dead at once where retrying cannot help', async () => {
    const {
      acceptor,
      start: run,
      entries,
    } = await start(mode, async () => {
      throw new NonRetryableError('probe_not_found', 'There is no such probe.');
    });
    await run();
    await acceptor.accept('ada', ask());
    const [first] = await entries.count(1, 'notification');
    expect(first?.notification).toMatchObject({
      error: { code: 'probe_not_found', message: 'There is no such probe.' },
      data: { attempts: 1 },
    });
  });

  test('that the fast path left behind is dispatched from the outbox', async () => {
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await start(mode, async ({ notify }) => notify.success('probe.run.completed', {}), {
      withFastPath: false,
    });
    await run();
    await acceptor.accept('ada', ask());
    await entries.count(2, 'notifications');
    await eventually(async () => {
      const { rows } = await testDatabase.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM outbox');
      return rows[0]?.n === 0 ? true : undefined;
    }, 'an empty outbox');
  });

  test('with a delay waits for its time', async () => {
    const {
      acceptor,
      start: run,
      entries,
      database,
    } = await start(mode, async ({ notify }) => notify.success('probe.run.completed', {}));
    await run();
    const before = Date.now();
    const { requestId } = await acceptor.accept('ada', ask(1, { delayMs: 300 }));
    expect(await createRequestQueries(database).find('ada', requestId)).toMatchObject({
      status: 'pending',
      attempts: 0,
    });
    await entries.count(1, 'notification');
    expect(Date.now() - before).toBeGreaterThanOrEqual(300);
  });
});

describe('the fence', () => {
  test('an attempt whose job was taken over can commit neither a step nor its end', async () => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const outcomes: unknown[] = [];
    const {
      acceptor,
      start: run,
      testDatabase,
      entries,
    } = await start('redis', async ({ attempt, step, notify }) => {
      if (attempt === 1) {
        started.resolve();
        await gate.promise;
        await step
          .transaction('effect', async (tx) => {
            await tx
              .insertInto('projects')
              .values({ userId: 'ada', id: 'p', name: `attempt ${attempt}` })
              .execute();
          })
          .catch((error: unknown) => {
            outcomes.push(error);
            throw error;
          });
      }
      notify.success('probe.run.completed', { attempt });
    });
    await run();
    const { eventId } = await acceptor.accept('ada', ask());
    await started.promise;
    // What a claim by another worker does once this one's heartbeat is over.
    await testDatabase.pool.query('UPDATE jobs SET fence = fence + 1 WHERE id = $1', [eventId]);
    gate.resolve();
    await eventually(async () => (outcomes.length > 0 ? true : undefined), 'the step to be refused');
    expect(outcomes).toMatchObject([{ code: 'fence_lost' }]);
    const { rows } = await testDatabase.pool.query('SELECT * FROM projects');
    expect(rows).toEqual([]);
    expect(entries.items).toEqual([]);
  });
});

describe.each<QueueMode>(['postgres', 'redis'])('a queue that has forgotten its jobs (%s)', (mode) => {
  test('gets them again, each once, and what it still has is left alone', async () => {
    const ran: number[] = [];
    const {
      acceptor,
      start: run,
      entries,
      backend,
      fastPath,
      database,
      catalogue,
      testDatabase,
    } = await start(mode, async ({ event, notify }) => {
      ran.push(event.data.n);
      notify.success('probe.run.completed', { n: event.data.n });
    });
    for (let n = 1; n <= 3; n++) await acceptor.accept('ada', ask(n));
    await fastPath.drain();
    const queue = backend.queue('probe.run.requested');
    const [kept, ...lost] = await queue.getJobs(['waiting', 'prioritized']);
    for (const job of lost) await job.remove();

    const reconciler = new Reconciler({
      pool: database.pool,
      backend,
      queues: catalogue.queues,
      clock: systemClock,
      logger: pino({ level: 'silent' }),
      metrics: createMetrics('synap_'),
      overdueMs: 0,
    });
    await reconciler.runOnce();
    await reconciler.runOnce();
    const { rows } = await testDatabase.pool.query<{ id: string; generation: number }>(
      'SELECT id, generation FROM jobs',
    );
    expect(rows.filter(({ generation }) => generation === 1).map(({ id }) => `${id}.1`)).toEqual([kept?.id]);
    expect(rows.filter(({ generation }) => generation === 2)).toHaveLength(2);

    await run();
    await entries.count(6, 'notifications of three jobs in two rooms');
    expect(ran.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  });
});

/** The next `times` times that a job is to become `state`, Postgres answers with `sqlState` instead. Sequences do not roll back. */
async function refuse(database: TestDatabase, state: string, sqlState: string, times: number): Promise<void> {
  await database.pool.query(`
    CREATE SEQUENCE refusals;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.state = '${state}' AND nextval('refusals') <= ${times} THEN
        RAISE EXCEPTION 'refused' USING ERRCODE = '${sqlState}';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse();`);
}

describe('an attempt whose end finds Postgres away', () => {
  test('ends when Postgres is back, without being run again', async () => {
    let runs = 0;
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await start('redis', async ({ notify }) => {
      runs++;
      notify.success('probe.run.completed', {});
    });
    await refuse(testDatabase, 'completed', '57P01', 3);
    await run();
    await acceptor.accept('ada', ask());
    await entries.count(2, 'notifications');
    expect(runs).toBe(1);
  });

  test('is a failure where Postgres refuses what it would store', async () => {
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await start('redis', async ({ attempt, notify }) => notify.success('probe.run.completed', { attempt }));
    await refuse(testDatabase, 'completed', '23514', 1);
    await run();
    await acceptor.accept('ada', ask());
    const [first] = await entries.count(2, 'notifications');
    expect(first?.notification.data).toEqual({ attempt: 2 });
    const { rows } = await testDatabase.pool.query('SELECT failures FROM jobs');
    expect(rows).toEqual([{ failures: 1 }]);
  });

  test('leaves a job that its own worker takes again, although that worker lives', async () => {
    const { acceptor, registry, claims, fastPath } = await start('redis', async () => undefined);
    await registry.start();
    const { eventId } = await acceptor.accept('ada', ask());
    await fastPath.drain();
    expect(await claims.claim(eventId, 1)).toMatchObject({ kind: 'claimed', fence: 1 });
    expect(await claims.claim(eventId, 1)).toEqual({ kind: 'held' });
    claims.release(eventId);
    expect(await claims.claim(eventId, 1)).toMatchObject({ kind: 'claimed', fence: 2 });
    claims.release(eventId);
  });
});
