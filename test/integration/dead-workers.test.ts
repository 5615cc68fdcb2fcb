import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { DeadWorkers } from '../../src/dispatch/dead-workers.js';
import { systemClock, type Clock } from '../../src/platform/clock.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { meanwhile } from '../support/locks.js';
import { ManualClock } from '../support/manual-clock.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';
import { within } from '../support/signals.js';

afterEach(stopProbes);

const start = async (run: Parameters<typeof startProbe>[1]) => {
  const probe = await startProbe('postgres', run);
  const watch = (clock: Clock, graceMs?: number) =>
    new DeadWorkers({
      pool: probe.database.pool,
      clock,
      logger: pino({ level: 'silent' }),
      metrics: createMetrics('synap_'),
      ...(graceMs !== undefined && { graceMs }),
    });
  return { ...probe, watch, deadWorkers: watch(systemClock, 0) };
};

/** A job that a worker of another process runs whose last heartbeat was so long ago. */
async function runElsewhere(
  { acceptor, fastPath, testDatabase }: Awaited<ReturnType<typeof start>>,
  secondsAgo: number,
) {
  const { eventId } = await acceptor.accept('ada', ask());
  await fastPath.drain();
  const worker = randomUUID();
  await testDatabase.pool.query(
    `INSERT INTO workers (id, hostname, pid, "heartbeatAt") VALUES ($1, 'elsewhere', 1, now() - $2 * interval '1 second')`,
    [worker, secondsAgo],
  );
  await testDatabase.pool.query(
    `UPDATE jobs SET state = 'running', fence = 1, crashes = 1, "workerId" = $2 WHERE id = $1`,
    [eventId, worker],
  );
  return { eventId, worker };
}

test('what a dead worker ran is dispatched anew, and its row goes', async () => {
  const core = await start(async ({ notify }) => notify.success('probe.run.completed', {}));
  const { eventId } = await runElsewhere(core, 11);
  await core.deadWorkers.runOnce();
  const { rows } = await core.testDatabase.pool.query(
    `SELECT o.generation, j.state, (SELECT count(*)::int FROM workers) AS workers FROM outbox o JOIN jobs j ON j.id = o."jobId" WHERE j.id = $1`,
    [eventId],
  );
  expect(rows).toEqual([{ generation: 2, state: 'running', workers: 0 }]);
  await core.start();
  await core.entries.count(2, 'notifications of the job that was taken back');
});

test('a worker that lives keeps what it runs', async () => {
  const core = await start(async () => undefined);
  const { eventId } = await runElsewhere(core, 5);
  expect(await core.deadWorkers.runOnce()).toBe(false);
  const { rows } = await core.testDatabase.pool.query('SELECT generation FROM jobs WHERE id = $1', [eventId]);
  expect(rows).toEqual([{ generation: 1 }]);
});

test('a row of the lost dispatch that is still in the outbox is replaced, not left in the way', async () => {
  const core = await start(async () => undefined);
  const { eventId } = await runElsewhere(core, 11);
  await core.testDatabase.pool.query(
    `INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
     SELECT id, queue, "userId", priority, 1, "runAt", now() FROM jobs`,
  );
  await core.deadWorkers.runOnce();
  const { rows } = await core.testDatabase.pool.query('SELECT generation FROM outbox WHERE "jobId" = $1', [eventId]);
  expect(rows).toEqual([{ generation: 2 }]);
});

test('a worker that was only frozen ends what it runs itself, once', async () => {
  const ended = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let runs = 0;
  const core = await start(async ({ notify }) => {
    runs++;
    ended.resolve();
    await goOn.promise;
    notify.success('probe.run.completed', {});
  });
  const { eventId } = await core.acceptor.accept('ada', ask());
  await core.start();
  await within(ended.promise, 'the attempt to begin');
  await core.dispatcher.stop();
  await core.testDatabase.pool.query(`UPDATE workers SET "heartbeatAt" = now() - interval '1 minute'`);
  await core.deadWorkers.runOnce();
  // Its next heartbeat; only then does the new ticket reach a worker.
  await core.registry.start();
  await core.dispatcher.runOnce();
  goOn.resolve();
  await core.entries.count(2, 'notifications of the one end');
  const { rows } = await core.testDatabase.pool.query('SELECT state, fence FROM jobs WHERE id = $1', [eventId]);
  expect(rows).toEqual([{ state: 'completed', fence: 1 }]);
  expect(runs).toBe(1);
});

test('a job that somebody has locked is taken back a round later, and its worker is not buried before', async () => {
  const core = await start(async () => undefined);
  const { eventId } = await runElsewhere(core, 11);
  await meanwhile(core.testDatabase.pool, async (other) => {
    await other.query('SELECT FROM jobs WHERE id = $1 FOR UPDATE', [eventId]);
    await core.deadWorkers.runOnce();
  });
  await core.deadWorkers.runOnce();
  const { rows } = await core.testDatabase.pool.query('SELECT generation FROM outbox WHERE "jobId" = $1', [eventId]);
  expect(rows).toEqual([{ generation: 2 }]);
});

test('after an outage of the database nobody is taken for dead before there was time for heartbeats', async () => {
  const core = await start(async () => undefined);
  const { eventId } = await runElsewhere(core, 11);
  const generation = async () =>
    (await core.testDatabase.pool.query<{ generation: number }>('SELECT generation FROM jobs WHERE id = $1', [eventId]))
      .rows[0]?.generation;
  const clock = new ManualClock();
  const watch = core.watch(clock);
  for (let second = 0; second < 9; second++) {
    await watch.runOnce();
    await clock.advance(1_000);
  }
  // An outage: no answer for five seconds.
  await clock.advance(5_000);
  for (let second = 0; second < 10; second++) {
    await watch.runOnce();
    expect(await generation()).toBe(1);
    await clock.advance(1_000);
  }
  await watch.runOnce();
  expect(await generation()).toBe(2);
});
