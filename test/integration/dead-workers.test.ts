import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { DeadWorkers } from '../../src/dispatch/dead-workers.js';
import { systemClock } from '../../src/platform/clock.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';
import { within } from '../support/signals.js';

afterEach(stopProbes);

const start = async (run: Parameters<typeof startProbe>[1]) => {
  const probe = await startProbe('postgres', run);
  const deadWorkers = new DeadWorkers({
    pool: probe.database.pool,
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    metrics: createMetrics('synap_'),
  });
  return { ...probe, deadWorkers };
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
