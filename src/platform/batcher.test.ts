import { describe, expect, test } from '@jest/globals';
import { Batcher } from './batcher.js';

/** What Postgres' driver throws. */
const databaseError = (code: string, message = code) => Object.assign(new Error(message), { code });

/** Runs statements one at a time, each when the test says so. */
function gated(decide: (items: readonly number[]) => Error | undefined = () => undefined, lanes = 1) {
  const batches: number[][] = [];
  const gates: (() => void)[] = [];
  const batcher = new Batcher<number, number>({
    lanes,
    maxItems: 4,
    weigh: (item) => item,
    maxWeight: 100,
    maxWaiting: 8,
    maxWaitingWeight: 400,
    run: async (items) => {
      batches.push([...items]);
      await new Promise<void>((resolve) => gates.push(resolve));
      const error = decide(items);
      if (error !== undefined) throw error;
      return items.map((item) => item * 10);
    },
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    batcher,
    batches,
    /** Lets every statement through, those that follow as well, until all is settled. */
    async finish() {
      for (let idle = 0; idle < 5;) {
        await turn();
        const open = gates.splice(0);
        for (const gate of open) gate();
        idle = open.length === 0 ? idle + 1 : 0;
      }
    },
    turn,
  };
}

describe('a batcher', () => {
  test('shares statements among what comes while one is in flight, in order, and answers each item its own result', async () => {
    const { batcher, batches, finish, turn } = gated();
    const first = batcher.add(1);
    await turn();
    const rest = [2, 3, 4, 5, 6].map((item) => batcher.add(item));
    await finish();
    expect(await Promise.all([first, ...rest])).toEqual([10, 20, 30, 40, 50, 60]);
    expect(batches).toEqual([[1], [2, 3, 4, 5], [6]]);
  });

  test('keeps a heavy item from sharing, but never from running', async () => {
    const { batcher, batches, finish } = gated();
    const all = Promise.all([60, 60, 250].map((item) => batcher.add(item)));
    await finish();
    expect(await all).toEqual([600, 600, 2_500]);
    expect(batches).toEqual([[60], [60], [250]]);
  });

  test('has at most `lanes` statements in flight', async () => {
    const { batcher, batches, finish, turn } = gated(undefined, 2);
    const all = Promise.all(Array.from({ length: 8 }, (_, n) => batcher.add(n + 1)));
    await turn();
    await turn();
    expect(batches).toHaveLength(2);
    await finish();
    await all;
  });

  test.each(['21000', '22P05', '23505', '54001'])(
    'fails only the guilty item where the statement is refused with %s',
    async (code) => {
      const { batcher, finish } = gated((items) => (items.includes(3) ? databaseError(code) : undefined));
      const results = Promise.allSettled([1, 2, 3, 4].map((item) => batcher.add(item)));
      await finish();
      expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    },
  );

  test('fails only the item of which no statement can be made', async () => {
    const { batcher, finish } = gated((items) => (items.includes(3) ? new TypeError('no JSON') : undefined));
    const results = Promise.allSettled([1, 2, 3, 4].map((item) => batcher.add(item)));
    await finish();
    expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  });

  test('tries again after a row stayed locked for too long: whoever froze with it loses it', async () => {
    let isLocked = true;
    const { batcher, finish } = gated(() => {
      const error = isLocked ? databaseError('55P03') : undefined;
      isLocked = false;
      return error;
    });
    const results = Promise.all([1, 2].map((item) => batcher.add(item)));
    await finish();
    expect(await results).toEqual([10, 20]);
  });

  test('tries again after a deadlock, and says unavailable after five times', async () => {
    let deadlocks = 2;
    const { batcher, finish } = gated(() => (deadlocks-- > 0 ? databaseError('40P01') : undefined));
    const result = batcher.add(1);
    await finish();
    expect(await result).toBe(10);
    deadlocks = 100;
    const hopeless = batcher.add(1).catch((error: unknown) => error);
    await finish();
    expect(await hopeless).toMatchObject({ code: 'unavailable', retryAfterMs: 1_000 });
  });

  test.each([
    ['a lost connection', new Error('Connection terminated unexpectedly')],
    ['a server that shuts down', databaseError('57P01')],
    ['a refused connection', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })],
  ])('says unavailable to the whole batch after %s, because what committed is unknown', async (_what, error) => {
    const { batcher, finish } = gated(() => error);
    const results = Promise.all([1, 2].map((item) => batcher.add(item).catch((thrown: unknown) => thrown)));
    await finish();
    expect(await results).toEqual([
      expect.objectContaining({ code: 'unavailable', retryAfterMs: 1_000 }),
      expect.objectContaining({ code: 'unavailable' }),
    ]);
  });

  test('refuses more than it can hold, early', async () => {
    const { batcher, finish } = gated();
    const held = Promise.all(Array.from({ length: 8 }, () => batcher.add(1)));
    await expect(batcher.add(1)).rejects.toMatchObject({ code: 'overloaded' });
    await finish();
    await held;
  });

  test('refuses what would weigh too much while it waits, but not a heavy item that waits alone', async () => {
    const { batcher, finish } = gated();
    const heavy = batcher.add(500);
    await expect(batcher.add(1)).rejects.toMatchObject({ code: 'overloaded' });
    await finish();
    expect(await heavy).toBe(5_000);
    const next = batcher.add(1);
    await finish();
    expect(await next).toBe(10);
  });

  test('drains: resolves when nothing waits and nothing is in flight', async () => {
    const { batcher, finish } = gated();
    const result = batcher.add(1);
    let isDrained = false;
    const drained = batcher.drain().then(() => (isDrained = true));
    expect(isDrained).toBe(false);
    await finish();
    await drained;
    expect(await result).toBe(10);
  });
});

describe('a batcher that bounds waiting', () => {
  /** Two lanes, 100 items a statement that takes 20 ms: 10,000 items a second. Time is counted, not waited for. */
  function simulated(statementMs = () => 20) {
    let now = 0;
    const running: { at: number; end: () => void }[] = [];
    const batcher = new Batcher<number, number>({
      maxWaitMs: 500,
      now: () => now,
      run: (items) =>
        new Promise((resolve) => running.push({ at: now + statementMs(), end: () => resolve(items.map(() => now)) })),
    });
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const tick = async (ms: number) => {
      now += ms;
      for (const due of running.filter(({ at }) => at <= now)) {
        running.splice(running.indexOf(due), 1);
        due.end();
      }
      await turn();
      await turn();
    };
    return { batcher, tick, now: () => now };
  }

  test('works at its full rate under one and a half times the load it can bear, answers the accepted in time and does not swing', async () => {
    const { batcher, tick, now } = simulated();
    const latencies: number[] = [];
    const perSecond: { done: number; refused: number }[] = [];
    for (let ms = 0; ms < 10_000; ms += 5) {
      const second = (perSecond[Math.floor(ms / 1_000)] ??= { done: 0, refused: 0 });
      for (let n = 0; n < 75; n++) {
        const since = now();
        batcher.add(n).then(
          (at) => {
            latencies.push(at - since);
            second.done++;
          },
          () => void second.refused++,
        );
      }
      await tick(5);
    }
    // What came in the last second is not all answered yet.
    const steady = perSecond.slice(3, -1);
    for (const { done, refused } of steady) {
      expect(done).toBeGreaterThan(9_000);
      expect(refused).toBeGreaterThan(4_000);
    }
    expect(Math.max(...latencies)).toBeLessThan(1_000);
    for (let left = 0; left < 1_000; left += 5) await tick(5);
    await batcher.drain();
  }, 60_000);

  test('refuses at once while no statement ends, and takes the next item when they do', async () => {
    let stalls = true;
    const { batcher, tick } = simulated(() => (stalls ? 3_000 : 20));
    const first = [batcher.add(1)];
    await tick(5);
    first.push(batcher.add(2));
    await tick(0);
    await tick(1_000);
    expect(batcher.isOverloaded).toBe(false);
    await tick(1_200);
    expect(batcher.isOverloaded).toBe(true);
    await expect(batcher.add(3)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1_000 });
    stalls = false;
    await tick(1_000);
    await Promise.all(first);
    expect(batcher.isOverloaded).toBe(false);
    const next = batcher.add(4);
    await tick(5);
    await tick(20);
    await next;
  });

  test('refuses what comes after somebody who has waited too long', async () => {
    const { batcher, tick } = simulated(() => 1_500);
    const held = Array.from({ length: 201 }, (_, n) => batcher.add(n));
    await tick(5);
    await tick(900);
    expect(batcher.isOverloaded).toBe(false);
    await tick(200);
    expect(batcher.isOverloaded).toBe(true);
    await tick(400);
    await tick(1_500);
    await Promise.all(held);
  });
});
