import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { Outbox } from '../../src/dispatch/outbox.js';
import { Claims } from '../../src/execution/claims.js';
import { Finishing, type Finish } from '../../src/execution/finishing.js';
import { NotificationLog } from '../../src/realtime/log/postgres-log.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const count = 5_000;
/** The plan for all values at once, which Postgres otherwise comes to after five for particular ones. */
const options = '-c plan_cache_mode=force_generic_plan';
const workerId = randomUUID();

let database: TestDatabase;
let pool: pg.Pool;

afterEach(async () => {
  await pool.end();
  await database.drop();
});

/** Running jobs of this worker, each in the outbox too, and as many rooms. Nothing is analyzed. @returns one of the jobs */
async function grow(): Promise<string> {
  const { rows } = await pool.query<{ jobId: string }>(
    `WITH made AS (
       INSERT INTO jobs (id, queue, "userId", "requestId", "isRoot", state, priority, "runAt", fence, "workerId")
       SELECT gen_random_uuid(), 'q', 'ada', 'r', true, 'running', 10, now(), 1, $2 FROM generate_series(1, $1) n RETURNING *
     ), rows AS (
       INSERT INTO rooms (key, epoch, "lastSeq") SELECT 'u:' || n, gen_random_uuid(), 2 FROM generate_series(1, $1) n
     )
     INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
     SELECT id, queue, "userId", priority, generation, "runAt", "runAt" FROM made RETURNING "jobId"`,
    [count, workerId],
  );
  return rows[0]?.jobId ?? '';
}

/** Runs it on empty tables, so that its plan is made and kept; then lets them grow and answers how many rows it reads of a table by whole scans. */
async function scannedBy(table: string, run: (id: string) => Promise<unknown>): Promise<number | undefined> {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, options, max: 1 });
  await run(randomUUID());
  const jobId = await grow();
  await pool.query('BEGIN');
  await run(jobId);
  const { rows } = await pool.query<{ scanned: number }>(
    `SELECT seq_tup_read::int AS scanned FROM pg_stat_xact_user_tables WHERE relname = $1`,
    [table],
  );
  await pool.query('ROLLBACK');
  return rows[0]?.scanned;
}

const ended = (jobId: string): Finish => ({
  jobId,
  fence: 1,
  state: 'completed',
  delayMs: 0,
  failed: false,
  failure: null,
  result: null,
  emitted: [],
  notifications: [],
});

describe('a plan that was made while a table was empty looks its rows up one by one when it has grown', () => {
  test('for claims', async () => {
    const claim = (id: string) => new Claims({ pool, workerId }).claim(id, 1);
    expect(await scannedBy('jobs', claim)).toBe(0);
  });

  test('for ends of attempts', async () => {
    const publisher = { publish: () => undefined, ephemeral: () => undefined };
    const finish = (id: string) => new Finishing({ pool, publisher, onRunnable: () => undefined }).finish(ended(id));
    expect(await scannedBy('jobs', finish)).toBe(0);
  });

  test('for what is taken out of the outbox', async () => {
    const data = { eventId: '', type: 'q', userId: 'ada', requestId: 'r', correlationId: 'c' };
    const remove = (jobId: string) => new Outbox(pool).remove([{ jobId, generation: 1, priority: 10, runAt: 0, data }]);
    expect(await scannedBy('outbox', remove)).toBe(0);
  });

  test('for marks of what rooms have published', async () => {
    const mark = (epoch: string) => new NotificationLog({ pool }).advance([{ room: 'u:1', epoch, seq: 1 }]);
    expect(await scannedBy('rooms', mark)).toBe(0);
  });
});
