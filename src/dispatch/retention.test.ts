import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import { dayMs, RetentionKit } from '../../test/support/retention.js';
import { createMetrics } from '../platform/metrics.js';

let kit: RetentionKit;
beforeEach(async () => {
  kit = await RetentionKit.start();
});
afterEach(() => kit.end());

const jobs = async () => (await kit.query<{ id: string }>('SELECT id FROM jobs ORDER BY id')).map(({ id }) => id);

describe('jobs', () => {
  test('that ended longer ago than their age go, with their steps and failed attempts; their events stay', async () => {
    await kit.addJob({ steps: 3 });
    await kit.addJob({ state: 'cancelled' });
    const young = await kit.addJob({ days: 29, steps: 2 });
    await kit.prune();
    expect(await jobs()).toEqual([young]);
    expect(await kit.count('steps')).toBe(2);
    expect(await kit.count('failed_attempts')).toBe(1);
    expect(await kit.count('events')).toBe(3);
  });

  test.each(['scheduled', 'queued', 'running'])('that are %s stay whatever their age', async (state) => {
    const id = await kit.addJob({ state, days: 400, steps: 1 });
    await kit.prune();
    expect(await jobs()).toEqual([id]);
    expect(await kit.count('steps')).toBe(1);
  });

  test('that are dead stay while their dead letter is open, and as long again after it was closed; the dead letter stays for ever', async () => {
    const open = await kit.addJob({ state: 'dead', days: 400, deadLetter: 'open' });
    const justClosed = await kit.addJob({ state: 'dead', days: 300, deadLetter: 'discarded', closedDays: 1 });
    await kit.addJob({ state: 'dead', days: 400, deadLetter: 'discarded', closedDays: 31 });
    const without = await kit.addJob({ state: 'dead', days: 200 });
    await kit.prune();
    expect(await jobs()).toEqual([open, justClosed, without]);
    expect(await kit.count('dead_letters')).toBe(3);
    expect(await kit.metrics.registry.getSingleMetricAsString('synap_retention_deleted_total')).toMatch(
      /retention_deleted_total\{table="dead_jobs"\} 1/,
    );
  });

  test('whose ids clients made in another way are found too', async () => {
    await kit.addJob({ id: '00000000-0000-4000-8000-000000000001' });
    await kit.addJob({ id: 'ffffffff-ffff-4fff-bfff-fffffffffffe' });
    await kit.addJob({ id: 'ffffffff-ffff-ffff-ffff-ffffffffffff' });
    const young = await kit.addJob({ id: 'eeeeeeee-ffff-4fff-bfff-fffffffffffe', days: 1 });
    await kit.prune();
    expect(await jobs()).toEqual([young]);
  });

  test('that somebody holds are left for another time, without waiting', async () => {
    const held = await kit.addJob();
    await kit.addJob();
    await kit.whileOpen('SELECT FROM jobs WHERE id = $1 FOR UPDATE', [held], async () => {
      await kit.prune();
      expect(await jobs()).toEqual([held]);
    });
    await kit.prune();
    expect(await jobs()).toEqual([]);
  });

  test('go in batches, those with many steps in smaller ones', async () => {
    for (let n = 0; n < 4; n++) await kit.addJob({ steps: 300 });
    const retention = kit.retention();
    await retention.runOnce();
    expect(await jobs()).toHaveLength(2);
    await kit.prune(retention);
    expect(await jobs()).toEqual([]);
    expect(await kit.count('steps')).toBe(0);
  });

  test('are swept page by page to the end, also past pages of which nothing goes', async () => {
    await kit.query(
      `INSERT INTO jobs (id, queue, "userId", "requestId", "isRoot", state, priority, "runAt")
       SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'q', 'ada', 'r', true, 'queued', 10, now()
       FROM generate_series(1, 1200) n`,
    );
    await kit.addJob();
    expect(await kit.prune()).toBeGreaterThan(2);
    expect(await kit.count('jobs')).toBe(1_200);
  });
});

describe('events', () => {
  test('are kept for ever unless an age is set', async () => {
    await kit.addJob({ days: 4_000 });
    await kit.prune();
    expect(await kit.count('events')).toBe(1);
  });

  test('past a set age go when their job has gone, and not before', async () => {
    await kit.addJob({ days: 100 });
    const unfinished = await kit.addJob({ days: 100, state: 'queued' });
    const dead = await kit.addJob({ days: 100, state: 'dead', deadLetter: 'open' });
    const young = await kit.addJob({ days: 80 });
    await kit.prune(kit.retention({ eventsMs: 90 * dayMs }));
    await kit.prune(kit.retention({ eventsMs: 90 * dayMs }));
    const events = (await kit.query<{ id: string }>('SELECT id FROM events ORDER BY id')).map(({ id }) => id);
    expect(events).toEqual([unfinished, dead, young].toSorted());
  });

  test('outlive the idempotency keys that answer with them', async () => {
    await kit.query(
      `INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, timestamp, source, "correlationId", "requestId")
       VALUES ($1, 't', 'a', 'x', 'ada', '{}', now() - interval '2 hours', 'api', 'r', 'r')`,
      [v7({ msecs: Date.now() - 7_200_000 })],
    );
    await kit.prune(kit.retention({ eventsMs: 3_600_000 }));
    expect(await kit.count('events')).toBe(1);
    await kit.prune(kit.retention({ eventsMs: 3_600_000, idempotencyKeysMs: 3_600_000 }));
    expect(await kit.count('events')).toBe(0);
  });
});

test('idempotency keys, workers without a heartbeat and ended bulk operations go at their ages', async () => {
  await kit.query(
    `INSERT INTO idempotency_keys ("userId", key, "requestHash", "eventId", "createdAt")
     SELECT 'ada', 'key-' || n, 'h', gen_random_uuid(), now() - interval '25 hours' FROM generate_series(1, 1100) n
     UNION ALL SELECT 'ada', 'young', 'h', gen_random_uuid(), now() - interval '23 hours'`,
  );
  await kit.query(
    `INSERT INTO workers (id, hostname, pid, "heartbeatAt") VALUES
       (gen_random_uuid(), 'old', 1, now() - interval '25 hours'), (gen_random_uuid(), 'young', 2, now() - interval '23 hours')`,
  );
  await kit.query(
    `INSERT INTO bulk_operations (id, action, actor, filter, options, "ratePerSecond", state, total, "createdAt", "finishedAt") VALUES
       (gen_random_uuid(), 'old', 'op', '{}', '{}', 1, 'completed', 1, now() - interval '91 days', now() - interval '91 days'),
       (gen_random_uuid(), 'young', 'op', '{}', '{}', 1, 'cancelled', 1, now() - interval '91 days', now() - interval '89 days'),
       (gen_random_uuid(), 'running', 'op', '{}', '{}', 1, 'running', 1, now() - interval '99 days', NULL)`,
  );
  const retention = kit.retention();
  await retention.runOnce();
  expect(await kit.count('idempotency_keys')).toBe(601);
  expect(await kit.prune(retention)).toBe(2);
  expect(await kit.query('SELECT key FROM idempotency_keys')).toEqual([{ key: 'young' }]);
  expect(await kit.query('SELECT hostname FROM workers')).toEqual([{ hostname: 'young' }]);
  expect(await kit.query('SELECT action FROM bulk_operations ORDER BY action')).toEqual([
    { action: 'running' },
    { action: 'young' },
  ]);
});

test('two processes at once delete each row once, and neither fails', async () => {
  await kit.query(
    `INSERT INTO idempotency_keys ("userId", key, "requestHash", "eventId", "createdAt")
     SELECT 'ada', 'key-' || n, 'h', gen_random_uuid(), now() - interval '25 hours' FROM generate_series(1, 1700) n`,
  );
  const fleet = [createMetrics('synap_'), createMetrics('synap_')];
  const runs = fleet.map((its) => kit.retention({}, its));
  for (let round = 0; round < 5; round++) await Promise.all(runs.map((one) => one.runOnce()));
  expect(await kit.count('idempotency_keys')).toBe(0);
  const counted = await Promise.all(fleet.map(async ({ retentionDeleted }) => (await retentionDeleted.get()).values));
  expect(counted.flat().reduce((sum, { value }) => sum + value, 0)).toBe(1_700);
});
