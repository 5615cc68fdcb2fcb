import { afterEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { Reconciler } from '../../src/dispatch/reconciler.js';
import { armFault } from '../../src/platform/fault-points.js';
import type { Core, QueueMode } from '../support/core.js';
import { generationsOf, partsOf, probeQueue, ticketsOf } from '../support/dispatch.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import { eventually } from '../support/signals.js';

let redis: RedisServer | undefined;
let control: Redis | undefined;
afterEach(async () => {
  armFault(undefined);
  await stopProbes();
  control?.disconnect();
  await redis?.stop();
  redis = undefined;
  control = undefined;
});

async function accept({ acceptor, fastPath }: Core, count: number): Promise<string[]> {
  const accepted = await Promise.all(Array.from({ length: count }, (_, n) => acceptor.accept('ada', ask(n))));
  await fastPath.drain();
  return accepted.map(({ eventId }) => eventId);
}

describe.each<QueueMode>(['postgres', 'redis'])('a queue that has forgotten its jobs (%s)', (mode) => {
  test('gets them again, each once, and what it still has is left alone', async () => {
    const ran: number[] = [];
    const started = await startProbe(mode, async ({ event, notify }) => {
      ran.push(event.data.n);
      notify.success('probe.run.completed', { n: event.data.n });
    });
    const { acceptor, start: run, entries, backend, fastPath, testDatabase } = started;
    for (let n = 1; n <= 3; n++) await acceptor.accept('ada', ask(n));
    await fastPath.drain();
    const queue = backend.queue('probe.run.requested');
    const [kept, ...lost] = await queue.getJobs(['waiting', 'prioritized']);
    for (const job of lost) await job.remove();

    const reconciler = new Reconciler({ ...partsOf(started), overdueMs: 0 });
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

/** A core on a Redis that the test reaches into. */
async function startInside(run: Parameters<typeof startProbe>[1]) {
  redis = await startRedis();
  control = new Redis(redis.url);
  return { core: await startProbe('redis', run, { redisUrl: redis.url }), inside: control };
}

const keysOf = (inside: Redis, id: string) => inside.keys(`*${probeQueue}:${id}.*`);

test('a ticket whose data is lost runs what Postgres says, once, and leaves nothing behind', async () => {
  const ran: unknown[] = [];
  const { core, inside } = await startInside(async ({ event }) => void ran.push([event.id, event.data]));
  const [id = ''] = await accept(core, 1);
  expect(await inside.del(...(await keysOf(inside, id)))).toBe(1);
  expect(await ticketsOf(core)).toBe(1);
  await core.start();
  await eventually(async () => ((await ticketsOf(core)) === 0 ? true : undefined), 'the ticket to be taken away');
  expect(ran).toEqual([[id, { n: 0 }]]);
});

test('a ticket without data whose job has ended is acknowledged away', async () => {
  const ran: unknown[] = [];
  const { core, inside } = await startInside(async ({ event }) => void ran.push(event.id));
  const [id = ''] = await accept(core, 1);
  await core.testDatabase.pool.query(`UPDATE jobs SET state = 'cancelled', "finishedAt" = now()`);
  await inside.del(...(await keysOf(inside, id)));
  await core.start();
  await eventually(async () => ((await ticketsOf(core)) === 0 ? true : undefined), 'the ticket to be taken away');
  expect(ran).toEqual([]);
});

test('what is left of a ticket that no list has is removed, and what is listed stays', async () => {
  const { core, inside } = await startInside(async () => undefined);
  const [orphan = '', listed = ''] = await accept(core, 2);
  const [prioritized = ''] = await inside.keys('*:prioritized');
  expect(await inside.zrem(prioritized, `${orphan}.1`)).toBe(1);
  expect(await core.backend.removeOrphans(probeQueue)).toBe(1);
  expect(await keysOf(inside, orphan)).toEqual([]);
  expect(await keysOf(inside, listed)).toHaveLength(1);
});

test('a sweep reads in pages and finds what is lost on the last one', async () => {
  const { core, inside } = await startInside(async () => undefined);
  const [lost = ''] = await accept(core, 1);
  // Thousands that wait in the outbox, all of them before the one that is lost.
  await core.testDatabase.pool.query(`
    WITH j AS (
      INSERT INTO jobs (id, queue, "userId", "requestId", "isRoot", state, priority, "runAt")
      SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, '${probeQueue}', 'ada', 'r', true, 'queued', 10, now() - interval '1 hour'
      FROM generate_series(1, 4100) i RETURNING *
    ) INSERT INTO outbox SELECT id, queue, "userId", priority, 1, "runAt", now() + interval '1 hour' FROM j`);
  await inside.flushall();
  const reconciler = new Reconciler({ ...partsOf(core), overdueMs: 0 });
  expect(await reconciler.runOnce()).toBe(true);
  expect(await reconciler.runOnce()).toBe(true);
  expect((await generationsOf(core))[lost]).toBe(1);
  expect(await reconciler.runOnce()).toBe(false);
  expect((await generationsOf(core))[lost]).toBe(2);
});

test.each(['reconciler.found', 'reconciler.dispatched'] as const)(
  'one that dies at %s is followed by another',
  async (point) => {
    const { core, inside } = await startInside(async () => undefined);
    const [id = ''] = await accept(core, 1);
    await inside.flushall();
    armFault({ point, action: 'throw', nth: 1 });
    await expect(new Reconciler({ ...partsOf(core), overdueMs: 0 }).runOnce()).rejects.toThrow(point);
    await new Reconciler({ ...partsOf(core), overdueMs: 0 }).runOnce();
    expect(await generationsOf(core)).toEqual({ [id]: 2 });
    const { rows } = await core.testDatabase.pool.query('SELECT generation FROM outbox');
    expect(rows).toEqual([{ generation: 2 }]);
  },
);
