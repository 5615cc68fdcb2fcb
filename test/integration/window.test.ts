import { afterEach, describe, expect, test } from '@jest/globals';
import { Aging } from '../../src/dispatch/aging.js';
import { FairRelease } from '../../src/dispatch/fair-release.js';
import { creditsOf } from '../../src/dispatch/queue-window.js';
import { agedNumber, priorities } from '../../src/queues/priorities.js';
import type { Core, QueueMode } from '../support/core.js';
import { partsOf, probeQueue, ticketsOf } from '../support/dispatch.js';
import { ask, startProbe, stopProbes, type Run } from '../support/probe.js';
import { Collected, eventually } from '../support/signals.js';

afterEach(stopProbes);

const window = 20;

/** Accepts, and makes what is due in the outbox free for the dispatcher at once. */
async function accept({ acceptor, fastPath, testDatabase }: Core, user: string, count: number, more = {}) {
  const accepted = await Promise.all(Array.from({ length: count }, (_, n) => acceptor.accept(user, ask(n, more))));
  await fastPath.drain();
  await testDatabase.pool.query(
    'UPDATE outbox SET "claimedUntil" = now() WHERE "claimedUntil" > now() AND "runAt" <= now()',
  );
  return accepted.map(({ eventId }) => eventId);
}

/** Rounds until nothing more fits. */
async function dispatch({ dispatcher }: Core): Promise<void> {
  while (await dispatcher.runOnce());
}

function recorder() {
  const ran = new Collected<{ readonly id: string; readonly userId: string }>();
  const run: Run = async ({ event }) => ran.add({ id: event.id, userId: event.userId });
  return { ran, run };
}

const outboxOf = async ({ testDatabase }: Core) =>
  (await testDatabase.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM outbox')).rows[0]?.n;

describe.each<QueueMode>(['postgres', 'redis'])('a window of 20 (%s)', (mode) => {
  test('holds so many tickets, less what is kept for high priority; the rest waits in Postgres and all of it runs', async () => {
    const { ran, run } = recorder();
    const core = await startProbe(mode, run, { window, withFastPath: false });
    const ids = await accept(core, 'ada', 100);
    await dispatch(core);
    expect(await ticketsOf(core)).toBe(18);
    expect(await outboxOf(core)).toBe(82);
    const urgent = await accept(core, 'ada', 1, { priority: 'high' });
    await dispatch(core);
    expect(await ticketsOf(core)).toBe(19);
    let most = 0;
    await core.start();
    await eventually(async () => {
      most = Math.max(most, await ticketsOf(core));
      return ran.items.length === 101 ? true : undefined;
    }, 'all');
    expect(most).toBeLessThanOrEqual(window);
    expect(new Set(ran.items.map(({ id }) => id))).toEqual(new Set([...ids, ...urgent]));
  });

  test('closes the fast path when it is full, and while a backlog waits', async () => {
    const core = await startProbe(mode, async () => undefined, { window });
    await accept(core, 'ada', 50);
    expect(await ticketsOf(core)).toBe(18);
    expect(await outboxOf(core)).toBe(32);
    // Room again, but older jobs wait.
    await core.backend.queue(probeQueue).drain();
    await core.window.measure(new Map([[probeQueue, 32]]));
    await accept(core, 'ada', 1);
    expect(await ticketsOf(core)).toBe(0);
    // What fits into the next round is no backlog.
    await core.window.measure(new Map([[probeQueue, 5]]));
    await accept(core, 'ada', 1);
    expect(await ticketsOf(core)).toBe(1);
  });

  test("lets another's single event wait no longer than one window, however many one user has", async () => {
    const { ran, run } = recorder();
    const core = await startProbe(mode, run, { window, withFastPath: false });
    await accept(core, 'hog', 400);
    await dispatch(core);
    const [single] = await accept(core, 'ada', 1);
    await core.start();
    await ran.first(({ id }) => id === single, "ada's event");
    const before = ran.items.findIndex(({ id }) => id === single);
    // The window that was full when it came, and its own round.
    expect(before).toBeLessThanOrEqual(2 * window);
    await ran.count(401, 'all');
  });

  test('raises a low one that waits in the queue past those that came later', async () => {
    const { ran, run } = recorder();
    const core = await startProbe(mode, run, { window: 1_000 });
    const [first] = await accept(core, 'ada', 1, { priority: 'low' });
    const [second] = await accept(core, 'ada', 1, { priority: 'normal' });
    await accept(core, 'bob', 50, { priority: 'high' });
    await core.testDatabase.pool.query(
      `UPDATE jobs SET "runAt" = now() - interval '61 seconds' WHERE "userId" = 'ada'`,
    );
    await new Aging(partsOf(core)).runOnce();
    await accept(core, 'eve', 200, { priority: 'high' });
    await core.start();
    await ran.count(252, 'all');
    const order = ran.items.map(({ userId }) => userId);
    const lastOfAda = Math.max(...[first, second].map((id) => ran.items.findIndex((item) => item.id === id)));
    // Ten run at a time.
    expect(lastOfAda).toBeLessThan(50 + 10 + 2);
    expect(order.lastIndexOf('eve')).toBeGreaterThan(lastOfAda);
  });

  test('leaves the order alone where nobody more urgent waits before', async () => {
    const core = await startProbe(mode, async () => undefined, { window: 1_000 });
    await accept(core, 'ada', 3, { priority: 'low' });
    expect(await core.backend.overtaken(probeQueue, priorities.low, 10)).toEqual([]);
    await accept(core, 'ada', 1, { priority: 'normal' });
    expect(await core.backend.overtaken(probeQueue, priorities.low, 10)).toHaveLength(3);
    expect(await core.backend.overtaken(probeQueue, priorities.normal, 10)).toEqual([]);
  });

  test('runs a low one within bounded time under more high ones than it can take', async () => {
    const { ran, run } = recorder();
    let sent = 0;
    const core = await startProbe(
      mode,
      async (context) => {
        await run(context);
        // Each that ran is followed by two more: there is never an end of them.
        if (context.event.userId === 'many' && sent < 2_000) {
          sent += 2;
          await Promise.all([1, 2].map((n) => core.acceptor.accept('many', ask(n, { priority: 'high' }))));
        }
      },
      { window, withFastPath: false },
    );
    await accept(core, 'many', 60, { priority: 'high' });
    const [low] = await accept(core, 'ada', 1, { priority: 'low' });
    await dispatch(core);
    await core.testDatabase.pool.query(
      `UPDATE outbox SET "runAt" = now() - interval '61 seconds' WHERE "userId" = 'ada'`,
    );
    await core.testDatabase.pool.query(
      `UPDATE jobs SET "runAt" = now() - interval '61 seconds' WHERE "userId" = 'ada'`,
    );
    const aging = new Aging(partsOf(core));
    await core.start();
    await eventually(async () => {
      await aging.runOnce();
      return ran.items.some(({ id }) => id === low) ? true : undefined;
    }, 'the low one');
    expect(ran.items.findIndex(({ id }) => id === low)).toBeLessThan(500);
    sent = 2_000;
  });
});

describe('a fair release', () => {
  /** Rows of the outbox and nothing else, `ageMs` old. */
  async function rows(core: Core, user: string, priority: number, count: number, ageMs: number, untilMs?: number) {
    const { rows: made } = await core.testDatabase.pool.query<{ id: string }>(
      `WITH e AS (
         INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, source, "correlationId", "requestId")
         SELECT gen_random_uuid(), $1, 'a', 'probe', $2, '{}', 'api', 'c', 'r' FROM generate_series(1, $4) RETURNING id
       ), o AS (
         INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
         SELECT id, $1, $2, $3, 1, now() - $5 * interval '1 ms', now() - $6 * interval '1 ms' FROM e
       ) SELECT id FROM e`,
      [probeQueue, user, priority, count, ageMs, untilMs ?? ageMs],
    );
    return made.map(({ id }) => id);
  }
  const empty = (size: number) => creditsOf(size, { tickets: 0, high: 0 });
  const start = () => startProbe('redis', async () => undefined, { withFastPath: false });
  const countBy = (leased: readonly { readonly data: { readonly userId: string } }[]) =>
    Object.fromEntries([...Map.groupBy(leased, ({ data }) => data.userId)].map(([user, all]) => [user, all.length]));

  test('goes round the users, on from where it was, and begins again behind the last', async () => {
    const core = await start();
    for (let n = 0; n < 30; n++) await rows(core, `u${String(n).padStart(2, '0')}`, priorities.normal, 4, 1_000);
    await rows(core, 'zz', priorities.normal, 500, 1_000);
    const fair = new FairRelease(core.outbox);
    const heard = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const leased = await fair.lease(probeQueue, empty(20));
      for (const { data } of leased) heard.add(data.userId);
    }
    expect(heard.size).toBe(31);
  });

  test('gives those behind the last one no more than those before it', async () => {
    const core = await start();
    await rows(core, 'aa', priorities.normal, 100, 2_000);
    await rows(core, 'zz', priorities.normal, 100, 1_000);
    const fair = new FairRelease(core.outbox);
    // The oldest, and one of the first user: the next turn begins behind it.
    expect(countBy(await fair.lease(probeQueue, { high: 0, other: 2, all: 2 }))).toEqual({ aa: 2 });
    expect(countBy(await fair.lease(probeQueue, { high: 0, other: 20, all: 20 }))).toEqual({ aa: 12, zz: 8 });
  });

  test('gives high before normal before low, and a fifth to the oldest whatever they are', async () => {
    const core = await start();
    const oldest = await rows(core, 'old', priorities.low, 2, 20_000);
    await rows(core, 'low', priorities.low, 50, 1_000);
    await rows(core, 'normal', priorities.normal, 50, 1_000);
    await rows(core, 'high', priorities.high, 50, 1_000);
    const leased = await new FairRelease(core.outbox).lease(probeQueue, { high: 7, other: 10, all: 12 });
    expect(countBy(leased)).toEqual({ old: 2, high: 7, normal: 3 });
    expect(leased.slice(0, 2).map(({ jobId }) => jobId)).toEqual(expect.arrayContaining(oldest));
  });

  test('hands a user who sends one its turn among those who send many, in the order of the queue too', async () => {
    const core = await start();
    await rows(core, 'hog', priorities.normal, 100, 9_000);
    const [single] = await rows(core, 'ada', priorities.normal, 1, 1_000);
    const leased = await new FairRelease(core.outbox).lease(probeQueue, empty(20));
    // Behind the share of the oldest and one of the hog's.
    expect(leased.findIndex(({ jobId }) => jobId === single)).toBeLessThanOrEqual(5);
  });

  test('releases what waited long with the number of its age', async () => {
    const core = await start();
    await rows(core, 'ada', priorities.low, 1, 31_000);
    await rows(core, 'bob', priorities.low, 1, 61_000);
    const leased = await core.outbox.lease(new Map([[probeQueue, 10]]));
    expect(leased.map(({ data, priority }) => [data.userId, priority])).toEqual([
      ['bob', agedNumber],
      ['ada', priorities.normal],
    ]);
  });

  test('keeps delays until their time, and then gives them their turn', async () => {
    const core = await start();
    await rows(core, 'hog', priorities.normal, 100, 9_000);
    const [delayed] = await rows(core, 'ada', priorities.normal, 1, -400, 20_000);
    const fair = new FairRelease(core.outbox);
    const early = await fair.lease(probeQueue, empty(20));
    expect(early.map(({ jobId }) => jobId)).not.toContain(delayed);
    await eventually(
      async () => {
        const leased = await fair.lease(probeQueue, empty(10));
        return leased.some(({ jobId }) => jobId === delayed) ? true : undefined;
      },
      'its turn',
      2_000,
    );
    expect(await outboxOf(core)).toBe(101);
  });
});
