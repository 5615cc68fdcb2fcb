import { afterEach, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { pino } from 'pino';
import { Reconciler } from '../../src/dispatch/reconciler.js';
import { Claims } from '../../src/execution/claims.js';
import { RetryAfterError } from '../../src/execution/retry.js';
import { systemClock } from '../../src/platform/clock.js';
import { createMetrics } from '../../src/platform/metrics.js';
import type { Json } from '../../src/platform/text.js';
import { priorities } from '../../src/queues/priorities.js';
import type { Core, QueueMode } from '../support/core.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';
import { eventually } from '../support/signals.js';

afterEach(stopProbes);

const queue = 'probe.run.requested';
const ticket = (jobId: string, n = 1, priority: number = priorities.normal) => ({
  jobId,
  generation: 1,
  priority,
  runAt: 0,
  data: { eventId: jobId, type: queue, userId: 'ada', requestId: `r${n}`, correlationId: `r${n}` },
});

async function jobOf({ testDatabase }: Pick<Core, 'testDatabase'>, id: string) {
  const { rows } = await testDatabase.pool.query<{ state: string; generation: number; failures: number }>(
    'SELECT state, generation, failures, crashes FROM jobs WHERE id = $1',
    [id],
  );
  return rows[0];
}

describe('a connection that Postgres ends', () => {
  test('in the middle of a transactional step costs neither the process nor one of the attempts that may fail', async () => {
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await startProbe('redis', async ({ attempt, step, notify }) => {
      await step.transaction('effect', async (tx) => {
        await tx.selectFrom('jobs').select('id').execute();
        if (attempt > 1) return;
        await testDatabase.pool.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()`,
        );
        await eventually(async () => {
          const { rows } = await testDatabase.pool.query(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`,
          );
          return rows.length === 0 ? true : undefined;
        }, 'the connection to be gone');
      });
      notify.success('probe.run.completed', { attempt });
    });
    await run();
    const { eventId } = await acceptor.accept('ada', ask());
    const done = await entries.first(({ notification }) => notification.status === 'success', 'success');
    expect(done.notification.data).toEqual({ attempt: 2 });
    expect(await jobOf({ testDatabase }, eventId)).toMatchObject({ failures: 0 });
  });

  test('before a claim was answered leaves no job behind', async () => {
    const { acceptor, database, registry, testDatabase } = await startProbe('redis', async () => undefined);
    await registry.start();
    const { eventId } = await acceptor.accept('ada', ask());
    let isLost = false;
    const pool = Object.create(database.pool, {
      query: {
        value: async (query: pg.QueryConfig) => {
          const answer = await database.pool.query(query);
          if (isLost) return answer;
          isLost = true;
          throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
        },
      },
    }) as pg.Pool;
    const claims = new Claims({ pool, workerId: registry.id });
    await expect(claims.claim(eventId, 1)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await jobOf({ testDatabase }, eventId)).toMatchObject({ state: 'running' });
    expect(await claims.claim(eventId, 1)).toMatchObject({ kind: 'claimed', fence: 2 });
    expect(await claims.claim(eventId, 1)).toEqual({ kind: 'held' });
  });

  test.each<QueueMode>(['postgres', 'redis'])('does not make workers deaf (%s)', async (mode) => {
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await startProbe(mode, async ({ event, notify }) => notify.success('probe.run.completed', event.data));
    await run();
    await acceptor.accept('ada', ask(1));
    await entries.count(2, 'the first');
    await testDatabase.pool.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await eventually(() => acceptor.accept('ada', ask(2)).catch(() => undefined), 'accepting again');
    await entries.first(({ notification }) => (notification.data as { n: number }).n === 2, 'the second');
  });
});

describe.each<QueueMode>(['postgres', 'redis'])('a handler that asks for the odd (%s)', (mode) => {
  test.each([
    ['U+0000', 'a\u0000b'],
    ['half a pair', '\ud800'],
    ['what JSON cannot say', 1n as unknown as Json],
  ])('a result with %s is a dead letter and nobody else is harmed', async (_what, result) => {
    let running = 0;
    const together = Promise.withResolvers<void>();
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await startProbe(mode, async ({ event, notify }) => {
      // All ends come in one turn, and so in one batch.
      if (++running === 3) together.resolve();
      await together.promise;
      if (event.data.n > 1) return notify.success('probe.run.completed', {});
      return { result };
    });
    await run();
    const [bad] = await Promise.all([1, 2, 3].map((n) => acceptor.accept('ada', ask(n))));
    await entries.first(({ notification }) => notification.status === 'error', 'the failure');
    await entries.count(6, 'all three ends');
    expect(await jobOf({ testDatabase }, bad?.eventId ?? '')).toMatchObject({ state: 'dead' });
    const { rows } = await testDatabase.pool.query('SELECT failures FROM jobs WHERE id <> $1', [bad?.eventId]);
    expect(rows).toEqual([{ failures: 0 }, { failures: 0 }]);
  });

  test.each([0.5, Number.NaN, -3])('to come back after %p ms', async (delayMs) => {
    const {
      acceptor,
      start: run,
      entries,
    } = await startProbe(mode, async ({ attempt, notify }) => {
      if (attempt === 1) throw new RetryAfterError(delayMs, 'busy');
      notify.success('probe.run.completed', { attempt });
    });
    await run();
    await acceptor.accept('ada', ask());
    await entries.first(({ notification }) => notification.status === 'success', 'success');
  });

  test('to come back much later, while its first ticket is still in the outbox', async () => {
    const { acceptor, backend, registry, fleet, testDatabase } = await startProbe(
      mode,
      async () => {
        throw new RetryAfterError(3_600_000, 'busy');
      },
      { withFastPath: false },
    );
    const { eventId } = await acceptor.accept('ada', ask());
    await backend.enqueue(queue, [ticket(eventId)]);
    await registry.start();
    fleet.start();
    await eventually(async () => {
      const job = await jobOf({ testDatabase }, eventId);
      return job?.state === 'scheduled' ? true : undefined;
    }, 'the wait');
    const { rows } = await testDatabase.pool.query('SELECT generation FROM outbox');
    expect(rows).toEqual([{ generation: 2 }]);
  });
});

describe.each<QueueMode>(['postgres', 'redis'])('a queue (%s)', (mode) => {
  test('gives high before normal before low, also after a delay', async () => {
    const { backend } = await startProbe(mode, async () => undefined);
    const id = (n: number) => `00000000-0000-7000-8000-00000000000${n}`;
    const tickets = [
      ticket(id(1), 1, priorities.low),
      ticket(id(2), 2, priorities.normal),
      ticket(id(3), 3, priorities.high),
      { ...ticket(id(4), 4, priorities.high), runAt: Date.now() + 200 },
      { ...ticket(id(5), 5, priorities.low), runAt: Date.now() + 200 },
    ];
    await backend.enqueue(queue, tickets);
    const order: string[] = [];
    const all = Promise.withResolvers<void>();
    const hold = Promise.withResolvers<void>();
    const consumer = backend.consume(queue, 1, async ({ jobId }) => {
      order.push(jobId.slice(-1));
      if (order.length === 1) await hold.promise;
      if (order.length === 5) all.resolve();
      return { kind: 'done' };
    });
    await new Promise((resolve) => void systemClock.after(400, () => resolve(undefined)));
    hold.resolve();
    await all.promise;
    await consumer.close();
    expect(order).toEqual(['3', '4', '2', '1', '5']);
  });

  test('that is paused has its jobs', async () => {
    const { acceptor, backend, fastPath, database, catalogue, testDatabase } = await startProbe(
      mode,
      async () => undefined,
    );
    await backend.queue(queue).pause();
    const { eventId } = await acceptor.accept('ada', ask());
    await fastPath.drain();
    const reconciler = new Reconciler({
      pool: database.pool,
      backend,
      queues: catalogue.queues,
      clock: systemClock,
      logger: pino({ level: 'silent' }),
      metrics: createMetrics('synap_'),
      overdueMs: -1_000,
    });
    await reconciler.runOnce();
    expect(await jobOf({ testDatabase }, eventId)).toMatchObject({ generation: 1 });
  });

  test('gets back what a worker that stops has in hand, and it costs the job nothing', async () => {
    const started = Promise.withResolvers<void>();
    const { acceptor, backend, registry, fleet, testDatabase } = await startProbe(mode, async () => {
      started.resolve();
      await new Promise(() => undefined);
    });
    await registry.start();
    fleet.start();
    const { eventId } = await acceptor.accept('ada', ask());
    await started.promise;
    await fleet.stop(10);
    expect(await jobOf({ testDatabase }, eventId)).toMatchObject({ state: 'queued', failures: 0, crashes: 0 });
    expect([...(await backend.missing(queue, [`${eventId}.1`]))]).toEqual([]);
  });
});

describe('what would harm others', () => {
  test('a ticket that comes early by a clock that runs fast is not looked at in a circle', async () => {
    const started = await startProbe('redis', async () => undefined);
    await started.registry.start();
    const { eventId } = await started.acceptor.accept('ada', ask(1, { delayMs: 1_000 }));
    const now = Date.now() + 60_000;
    const execute = started.executorWith({ ...systemClock, now: () => now });
    const taken = { jobId: eventId, generation: 1, signal: new AbortController().signal };
    const disposal = await execute({ ...taken, log: () => undefined, progress: () => undefined });
    expect(disposal).toMatchObject({ kind: 'later' });
    expect('runAt' in disposal && disposal.runAt).toBeGreaterThan(now);
  });
});

test('a ticket that cannot be put back is given out again, and is not a failure', async () => {
  const { backend, testDatabase } = await startProbe('postgres', async () => undefined);
  await testDatabase.pool.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON bullmq.job FOR EACH ROW
      WHEN (NEW.state::text = 'delayed') EXECUTE FUNCTION refuse()`);
  const id = '00000000-0000-7000-8000-000000000001';
  const taken = Promise.withResolvers<void>();
  await backend.enqueue(queue, [ticket(id)]);
  const consumer = backend.consume(queue, 1, async () => {
    taken.resolve();
    return { kind: 'later', runAt: Date.now() + 60_000 };
  });
  await taken.promise;
  await consumer.close();
  expect(await backend.queue(queue).getJobState(`${id}.1`)).toBe('active');
});
