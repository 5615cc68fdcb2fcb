import { afterEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { DeadWorkers } from '../../src/dispatch/dead-workers.js';
import { UnfinishedJobs, firstPage } from '../../src/dispatch/unfinished-jobs.js';
import { queueGauge } from '../../src/operations/gauges.js';
import { countedUpTo, readWaitingCounts } from '../../src/execution/waiting-counts.js';
import type { Core } from '../support/core.js';
import { partsOf, probeQueue, ticketsOf } from '../support/dispatch.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';
import { eventually } from '../support/signals.js';

afterEach(stopProbes);

/** Jobs that wait, in the outbox too, and a worker that lives. */
async function startWithBacklog(count: number): Promise<Core> {
  const core = await startProbe('postgres', async () => undefined);
  const { pool } = core.testDatabase;
  await pool.query(
    `WITH made AS (
       INSERT INTO jobs (id, queue, "userId", "requestId", "isRoot", state, priority, "runAt")
       SELECT gen_random_uuid(), $1, 'user ' || n % 100, 'r', true, 'queued', 10, now() - interval '1 hour' FROM generate_series(1, $2) n
       RETURNING *
     )
     INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
     SELECT id, queue, "userId", priority, generation, "runAt", "runAt" FROM made`,
    [probeQueue, count],
  );
  await pool.query(`INSERT INTO workers (id, hostname, pid) VALUES (gen_random_uuid(), 'here', 1)`);
  await pool.query('VACUUM (ANALYZE) jobs');
  await pool.query('VACUUM (ANALYZE) outbox');
  return core;
}

/** What a statement reads of a table, as Postgres counts it: whole scans, and rows by index and scan. */
async function readOf(core: Core, table: string, run: (pool: pg.Pool) => Promise<unknown>) {
  const pool = new pg.Pool({ connectionString: core.testDatabase.url, max: 1 });
  try {
    await pool.query('BEGIN');
    await run(pool);
    const { rows } = await pool.query<{ scans: number; rows: number }>(
      `SELECT seq_scan::int AS scans, (seq_tup_read + coalesce(idx_tup_fetch, 0))::int AS rows
       FROM pg_stat_xact_user_tables WHERE relname = $1`,
      [table],
    );
    await pool.query('ROLLBACK');
    return rows[0];
  } finally {
    await pool.end();
  }
}

describe('however many jobs wait', () => {
  test('a look for dead workers reads none of them while all workers live', async () => {
    const core = await startWithBacklog(5_000);
    const look = (pool: pg.Pool) => new DeadWorkers({ ...partsOf(core), pool, graceMs: 0 }).runOnce();
    const read = await readOf(core, 'jobs', look);
    expect(read?.scans).toBe(0);
    // The planner may look at the ends of an index.
    expect(read?.rows).toBeLessThan(10);
  });

  test('a page of the reconciler looks up its own jobs in the outbox, and never reads all of it', async () => {
    const core = await startWithBacklog(5_000);
    const page = (pool: pg.Pool) => new UnfinishedJobs(pool).page(firstPage, [probeQueue], 0);
    expect(await readOf(core, 'outbox', page)).toMatchObject({ scans: 0 });
  });

  test('what waits is counted up to a bound, without reading the rest', async () => {
    const core = await startWithBacklog(countedUpTo + 5_000);
    const count = (pool: pg.Pool) => readWaitingCounts(pool, [probeQueue]);
    expect(await count(core.database.pool)).toMatchObject([{ due: countedUpTo + 1, scheduled: 0 }]);
    expect(await readOf(core, 'outbox', count)).toMatchObject({ scans: 0 });
  });

  test('the gauge of what waits says about how much it is, without reading it', async () => {
    const core = await startWithBacklog(15_000);
    const parts = partsOf(core);
    const gauge = async (pool: pg.Pool) => {
      const periodic = queueGauge({ ...parts, database: { pool } });
      periodic.start();
      await eventually(async () => ((await sizeOf()) > 0 ? true : undefined), 'the gauge');
      await periodic.stop();
    };
    const sizeOf = async () =>
      (await parts.metrics.jobsWaiting.get()).values.find(
        ({ labels }) => labels.state === 'outbox' && labels.queue === probeQueue,
      )?.value ?? 0;
    expect(await readOf(core, 'outbox', gauge)).toMatchObject({ scans: 0 });
    expect(await sizeOf()).toBeGreaterThan(14_000);
    expect(await sizeOf()).toBeLessThan(16_000);
  });
});

describe('a backlog', () => {
  const due = (core: Core) =>
    core.testDatabase.pool.query('UPDATE outbox SET "claimedUntil" = now() WHERE "claimedUntil" > now()');

  async function accept(core: Core, n: number, priority: 'high' | 'normal'): Promise<void> {
    await core.acceptor.accept('ada', ask(n, { priority }));
    await core.fastPath.drain();
  }

  test('is passed at once by high priority where it has none of it, and is waited behind where it has', async () => {
    const core = await startProbe('redis', async () => undefined, { window: 20 });
    for (let n = 0; n < 30; n++) await accept(core, n, 'normal');
    await due(core);
    const measure = () => core.window.measure(new Map([[probeQueue, 30]]));
    await measure();
    const before = await ticketsOf(core);
    await accept(core, 31, 'normal');
    expect(await ticketsOf(core)).toBe(before);
    await accept(core, 32, 'high');
    expect(await ticketsOf(core)).toBe(before + 1);
    await core.testDatabase.pool.query(
      `UPDATE outbox SET priority = 1 WHERE "jobId" = (SELECT "jobId" FROM outbox LIMIT 1)`,
    );
    await measure();
    await accept(core, 33, 'high');
    expect(await ticketsOf(core)).toBe(before + 1);
  });
});
