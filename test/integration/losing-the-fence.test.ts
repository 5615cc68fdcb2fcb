import { afterEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { pino } from 'pino';
import { Claims } from '../../src/execution/claims.js';
import type { AttemptAborted } from '../../src/execution/outcome.js';
import { WorkerRegistry } from '../../src/execution/worker-registry.js';
import type { Clock } from '../../src/platform/clock.js';
import { systemClock } from '../../src/platform/clock.js';
import { createHeartbeatPool } from '../../src/platform/database.js';
import { ask, startProbe, stopProbes, type Run } from '../support/probe.js';
import { eventually, within } from '../support/signals.js';

afterEach(stopProbes);

const logger = pino({ level: 'silent' });

/** A core whose handler waits until its signal is aborted, and tells why. */
async function startWaiting() {
  const started = Promise.withResolvers<void>();
  const reasons: AttemptAborted[] = [];
  const aborted = Promise.withResolvers<AttemptAborted>();
  const run: Run = async ({ signal, attempt }) => {
    if (attempt > 1) return;
    started.resolve();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    reasons.push(signal.reason as AttemptAborted);
    aborted.resolve(signal.reason as AttemptAborted);
    throw signal.reason;
  };
  const core = await startProbe('redis', run);
  await core.start();
  const { eventId } = await core.acceptor.accept('ada', ask());
  await within(started.promise, 'the attempt to run');
  return { ...core, eventId, aborted: aborted.promise };
}

describe('an attempt that has lost its job while it runs', () => {
  test('to another worker is aborted within two seconds, and does not disturb it', async () => {
    const { eventId, aborted, testDatabase, database, backend } = await startWaiting();
    // Another worker, which takes the job over as from one that is dead.
    const pool = createHeartbeatPool(testDatabase.url, logger);
    const other = new WorkerRegistry({ pool, clock: systemClock, logger });
    await other.start();
    await testDatabase.pool.query(`UPDATE jobs SET "workerId" = gen_random_uuid() WHERE id = $1`, [eventId]);
    const claims = new Claims({ pool: database.pool, workerId: other.id });
    expect(await claims.claim(eventId, 1)).toMatchObject({ kind: 'claimed', fence: 2, crashes: 2 });
    expect(await within(aborted, 'the abort', 3_000)).toMatchObject({ why: 'fence_lost' });
    await eventually(
      async () =>
        (await backend.queue('probe.run.requested').getJobState(`${eventId}.1`)) === 'delayed' ? true : undefined,
      'the ticket to be kept for later',
    );
    const { rows } = await testDatabase.pool.query(
      'SELECT state, fence, failures, "workerId" = $2 AS held FROM jobs WHERE id = $1',
      [eventId, other.id],
    );
    expect(rows).toEqual([{ state: 'running', fence: 2, failures: 0, held: true }]);
    await other.stop();
    await pool.end();
  });

  test('because it was cancelled is aborted within two seconds, and its ticket is done', async () => {
    const { eventId, aborted, testDatabase, backend } = await startWaiting();
    await testDatabase.pool.query(
      `UPDATE jobs SET state = 'cancelled', fence = fence + 1, "finishedAt" = now() WHERE id = $1`,
      [eventId],
    );
    expect(await within(aborted, 'the abort', 3_000)).toMatchObject({ why: 'cancelled' });
    await eventually(
      async () =>
        (await backend.queue('probe.run.requested').getJobState(`${eventId}.1`)) === 'completed' ? true : undefined,
      'the ticket to be done',
      3_000,
    );
    const { rows } = await testDatabase.pool.query('SELECT state, failures FROM jobs WHERE id = $1', [eventId]);
    expect(rows).toEqual([{ state: 'cancelled', failures: 0 }]);
  });
});

test('a worker whose connections are all in long transactions still sends heartbeats', async () => {
  const running: (() => void)[] = [];
  const all = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const run: Run = ({ step }) =>
    step.transaction('long', async () => {
      if (running.push(() => undefined) === 10) all.resolve();
      await release.promise;
    });
  const core = await startProbe('redis', run);
  await core.start();
  await Promise.all(Array.from({ length: 10 }, (_, n) => core.acceptor.accept('ada', ask(n))));
  await within(all.promise, 'ten transactions, as many as the pool has connections');
  expect(core.database.pool.idleCount).toBe(0);
  const beatAt = async () => {
    const { rows } = await core.testDatabase.pool.query<{ at: Date }>('SELECT "heartbeatAt" AS at FROM workers');
    return rows[0]?.at.getTime() ?? 0;
  };
  const before = await beatAt();
  await eventually(async () => ((await beatAt()) > before ? true : undefined), 'a heartbeat', 5_000);
  release.resolve();
  await core.entries.count(0, 'nothing');
});

describe('a worker that cannot send heartbeats', () => {
  /** Real time, but what is due in so many ms is due when the test says so. */
  function expiring(): Clock & { expire: () => void } {
    let due: (() => void) | undefined;
    return {
      now: systemClock.now,
      after(delayMs, fn) {
        if (delayMs < 5_000) return systemClock.after(delayMs, fn);
        due = fn;
        return () => {
          if (due === fn) due = undefined;
        };
      },
      expire: () => due?.(),
    };
  }

  test('aborts what it runs when others may take it, and says why', async () => {
    const { testDatabase, database } = await startProbe('redis', async () => undefined);
    const pool = createHeartbeatPool(testDatabase.url, logger);
    const clock = expiring();
    const registry = new WorkerRegistry({ pool, clock, logger });
    await registry.start();
    const aborted: AttemptAborted[] = [];
    using _running = registry.attempts.add({
      jobId: '00000000-0000-7000-8000-000000000001',
      fence: 1,
      abort: (reason) => aborted.push(reason),
    });
    // No answer any more: the heartbeat waits for the row's lock.
    const blocker = await database.pool.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM workers WHERE id = $1 FOR UPDATE', [registry.id]);
    await eventually(async () => {
      const { rowCount } = await testDatabase.pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return rowCount === 1 ? true : undefined;
    }, 'a heartbeat to hang');
    aborted.length = 0;
    clock.expire();
    expect(aborted).toMatchObject([{ why: 'lock_lost' }]);
    await blocker.query('ROLLBACK');
    blocker.release();
    await registry.stop();
    await pool.end();
  });
});

test('a step whose COMMIT failed by a division of its own is run again, and not taken for done', async () => {
  const core = await startProbe('redis', async ({ step, attempt }) => {
    await step.transaction('effect', (tx) =>
      sql`INSERT INTO deferred VALUES (${attempt})`.execute(tx).then(() => undefined),
    );
  });
  await core.testDatabase.pool.query(`
    CREATE TABLE deferred (attempt int);
    CREATE FUNCTION divide() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1 / (NEW.attempt - 1); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER divides AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION divide();`);
  await core.start();
  const { eventId } = await core.acceptor.accept('ada', ask());
  const job = await eventually(async () => {
    const { rows } = await core.testDatabase.pool.query<{ state: string; failures: number }>(
      `SELECT state, failures FROM jobs WHERE id = $1 AND state IN ('completed', 'dead')`,
      [eventId],
    );
    return rows[0];
  }, 'the end of the job');
  expect(job).toEqual({ state: 'completed', failures: 1 });
  const { rows } = await core.testDatabase.pool.query('SELECT attempt FROM deferred');
  expect(rows).toEqual([{ attempt: 2 }]);
});
