import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PoolClient } from 'pg';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { notificationStatements as statements } from './notification-statements.js';

const total = 100_000;
let database: TestDatabase;
let client: PoolClient;

beforeAll(async () => {
  database = await createTestDatabase();
  client = await database.pool.connect();
  await client.query(
    `INSERT INTO notifications (id, type, "userId", "requestId", status, data)
     SELECT gen_random_uuid(), 't', 'ada', 'r' || n % 1000, 'success', '{"a": 1}' FROM generate_series(1, ${total}) n`,
  );
  await client.query(`INSERT INTO room_entries SELECT 'u:ada', row_number() OVER (), id FROM notifications`);
  await client.query(
    `INSERT INTO room_entries
     SELECT 'r:ada:' || "requestId", row_number() OVER (PARTITION BY "requestId"), id FROM notifications`,
  );
  await client.query(
    'INSERT INTO rooms (key, epoch, "lastSeq") SELECT room, gen_random_uuid(), max(seq) FROM room_entries GROUP BY room',
  );
  await client.query('ANALYZE');
  // As a connection plans that has run the statement a few times.
  await client.query('SET plan_cache_mode = force_generic_plan');
}, 60_000);
afterAll(async () => {
  client.release();
  await database.drop();
});

interface Plan {
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
}

const last = Number.MAX_SAFE_INTEGER;
const someId = '019ac0de-6d3c-7a55-9d3f-2f1f3b8f7c11';
const twoRooms = `ARRAY['r:ada:r1', 'r:ada:r2']`;

/** 1,000 look-ups by primary key are about 4,000 blocks, and the unread of a room are so many; marking writes them, too. */
test.each([
  ['after', '(text, bigint, int)', `'u:ada', 50000, 51`, 6_000],
  ['before', '(text, bigint, int)', `'u:ada', ${last}, 51`, 6_000],
  ['unseenAfter', '(text, bigint, int)', `'u:ada', 50000, 51`, 6_000],
  ['unseenBefore', '(text, bigint, int)', `'u:ada', ${last}, 51`, 6_000],
  ['unread', '(text)', `'u:ada'`, 6_000],
  ['ofEvents', '(text[], uuid[], int)', `${twoRooms}, ARRAY['${someId}']::uuid[], 500`, 2_000],
  ['seenUpTo', '(text, bigint, int)', `'u:ada', 100000, 1000`, 40_000],
] as const)('%s reads little of 100,000 notifications', async (name, types, values, maxBlocks) => {
  await client.query(`PREPARE ${name}${types} AS ${statements[name].text}`);
  const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE ${name}(${values})`,
  );
  const [{ Plan: plan } = { Plan: undefined }] = rows[0]?.['QUERY PLAN'] ?? [];
  expect((plan?.['Shared Hit Blocks'] ?? Infinity) + (plan?.['Shared Read Blocks'] ?? 0)).toBeLessThan(maxBlocks);
});
