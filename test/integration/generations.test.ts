import { afterEach, describe, expect, test } from '@jest/globals';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { GenerationWatch } from '../../src/dispatch/generation-watch.js';
import { Reconciler } from '../../src/dispatch/reconciler.js';
import { SettingsKeeper } from '../../src/operations/settings-keeper.js';
import { armFault } from '../../src/platform/fault-points.js';
import type { Core } from '../support/core.js';
import { generationsOf, partsOf, probeQueue, ticketsOf } from '../support/dispatch.js';
import { ask, startProbe, stopProbes, type Run } from '../support/probe.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import { Collected, eventually, within } from '../support/signals.js';

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  armFault(undefined);
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  await stopProbes();
  await redis?.stop();
  redis = undefined;
});

let redis: RedisServer | undefined;

/** A core on a Redis of its own that has been seen once; nothing is dispatched or run yet. */
async function begin(run: Run, more: Partial<ConstructorParameters<typeof GenerationWatch>[0]> = {}) {
  redis = await startRedis();
  const core = await startProbe('redis', run, { redisUrl: redis.url });
  const control = new Redis(redis.url, { lazyConnect: true, maxRetriesPerRequest: null });
  control.on('error', () => undefined);
  cleanups.push(() => control.disconnect());
  const watch = new GenerationWatch({ ...partsOf(core), everyMs: 100, ...more });
  await watch.runOnce();
  return { core, control, watch, redis };
}

async function accept({ acceptor, fastPath }: Core, count: number, more = {}): Promise<string[]> {
  const accepted = await Promise.all(Array.from({ length: count }, (_, n) => acceptor.accept('ada', ask(n, more))));
  await fastPath.drain();
  return accepted.map(({ eventId }) => eventId);
}

/** Runs what there is, as the processes of a deployment would. */
async function operate(core: Core, watch: GenerationWatch): Promise<void> {
  watch.start();
  cleanups.push(() => watch.stop());
  await core.start();
}

/** What ran, and when. */
function recorder() {
  const ran = new Collected<{ id: string; at: number }>();
  const run: Run = async ({ event }) => ran.add({ id: event.id, at: Date.now() });
  return { ran, run };
}

const losses: readonly [string, (its: { control: Redis; redis: RedisServer }) => Promise<void>][] = [
  ['is flushed', async ({ control }) => void (await control.flushall())],
  [
    'is killed and comes back empty',
    async (its) => {
      await its.redis.kill();
      redis = await startRedis({ port: its.redis.port });
    },
  ],
];

describe('a Redis that', () => {
  test.each(losses)(
    '%s has every due job again within two seconds, delayed ones on time, each once',
    async (_how, lose) => {
      const { ran, run } = recorder();
      const its = await begin(run);
      const due = await accept(its.core, 30);
      const dueAt = Date.now() + 3_000;
      const [delayed] = await accept(its.core, 1, { delayMs: 3_000 });
      expect(await ticketsOf(its.core)).toBe(31);
      await lose(its);
      await operate(its.core, its.watch);
      const back = Date.now();
      await ran.count(30, 'due jobs');
      expect(Date.now() - back).toBeLessThan(2_000);
      expect(new Set(ran.items.map(({ id }) => id))).toEqual(new Set(due));
      const late = await ran.first(({ id }) => id === delayed, 'the delayed job');
      expect(late.at).toBeGreaterThanOrEqual(dueAt - 50);
      expect(late.at).toBeLessThan(dueAt + 1_000);
      expect(ran.items).toHaveLength(31);
    },
  );

  test('comes back with an old copy of itself has what was queued since, and runs nothing twice', async () => {
    const { ran, run } = recorder();
    const { core, control, watch, redis: first } = await begin(run);
    const old = await accept(core, 5);
    await control.save();
    const [, dir] = (await control.config('GET', 'dir')) as [string, string];
    const kept = await mkdtemp(path.join(tmpdir(), 'synap-dump-'));
    cleanups.push(() => rm(kept, { recursive: true, force: true }));
    const dump = path.join(kept, 'dump.rdb');
    await copyFile(path.join(dir, 'dump.rdb'), dump);
    const since = await accept(core, 5);
    await first.kill();
    redis = await startRedis({ port: first.port, dump });
    const back = Date.now();
    await operate(core, watch);
    await eventually(
      async () => ((await ticketsOf(core).catch(() => 0)) === 0 && ran.items.length >= 10 ? true : undefined),
      'all',
    );
    expect(Date.now() - back).toBeLessThan(3_000);
    expect(ran.items.map(({ id }) => id).toSorted()).toEqual([...old, ...since].toSorted());
  });

  test('forgot its jobs leaves alone what a live worker runs and what waits in the outbox', async () => {
    const started = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const { core, control, watch } = await begin(async () => {
      started.resolve();
      await end.promise;
    });
    const [running] = await accept(core, 1);
    await core.registry.start();
    core.fleet.start();
    await started.promise;
    const [far] = await accept(core, 1, { delayMs: 3_600_000 });
    await control.flushall();
    await watch.runOnce();
    expect(await generationsOf(core)).toEqual({ [running ?? '']: 1, [far ?? '']: 1 });
    end.resolve();
  });

  test('forgot a job that runs has it again for its next attempt', async () => {
    const started = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const attempts = new Collected<number>();
    const restored = Promise.withResolvers<void>();
    const { core, control, watch } = await begin(
      async ({ attempt }) => {
        attempts.add(attempt);
        if (attempt > 1) return;
        started.resolve();
        await end.promise;
        throw new Error('once more');
      },
      { onRestored: () => restored.resolve() },
    );
    await accept(core, 1);
    await operate(core, watch);
    await started.promise;
    await control.flushall();
    // The watch has seen it run, and left it alone.
    await within(restored.promise, 'the new life');
    end.resolve();
    await attempts.count(2, 'attempts', 3_000);
  });

  test('is seen for the first time is noted, and nothing is dispatched again', async () => {
    const { core, control, watch } = await begin(async () => undefined);
    const [id = ''] = await accept(core, 1);
    await core.testDatabase.pool.query('DELETE FROM queue_generations');
    await control.flushall();
    await watch.runOnce();
    expect(await generationsOf(core)).toEqual({ [id]: 1 });
  });

  test('is the same as ever is asked and left alone', async () => {
    const { core, watch } = await begin(async () => undefined);
    const [id = ''] = await accept(core, 1);
    expect(await watch.runOnce()).toBe(false);
    expect(await generationsOf(core)).toEqual({ [id]: 1 });
  });

  test('dies again before its new life stands is restored again', async () => {
    const { ran, run } = recorder();
    let isLostAgain = false;
    const { core, control, watch } = await begin(run, {
      onLost: async () => {
        if (!isLostAgain) await core.dispatcher.runOnce().then(() => control.flushall());
        isLostAgain = true;
      },
    });
    const ids = await accept(core, 3);
    await control.flushall();
    expect(await watch.runOnce()).toBe(true);
    await core.dispatcher.runOnce();
    await control.flushall();
    expect(await watch.runOnce()).toBe(false);
    await core.start();
    await ran.count(3, 'jobs');
    expect(new Set(ran.items.map(({ id }) => id))).toEqual(new Set(ids));
  });

  test('whose watcher dies half way is restored by the next one', async () => {
    const { core, control, watch } = await begin(async () => undefined);
    const [id = ''] = await accept(core, 1);
    await control.flushall();
    armFault({ point: 'generation.dispatched', action: 'throw', nth: 1 });
    await expect(watch.runOnce()).rejects.toThrow('generation.dispatched');
    // What the first one had dispatched is lost once more before the second one looks; what it began stands.
    await core.dispatcher.runOnce();
    await control.del(...(await control.keys(`*${probeQueue}:*`)));
    await new GenerationWatch(partsOf(core)).runOnce();
    expect(await generationsOf(core)).toEqual({ [id]: 3 });
  });

  test('forgot a pause has it again before anything is dispatched', async () => {
    const { ran, run } = recorder();
    const onLost = () => new SettingsKeeper(partsOf(core)).runOnce();
    const { core, control, watch } = await begin(run, { onLost });
    await core.database.sql
      .insertInto('queue_settings')
      .values({ queue: probeQueue, isPaused: true, updatedBy: 'olga' })
      .execute();
    await accept(core, 1);
    await control.flushall();
    await watch.runOnce();
    await core.start();
    await eventually(async () => ((await ticketsOf(core)) === 1 ? true : undefined), 'the ticket');
    expect(await core.backend.queue(probeQueue).isPaused()).toBe(true);
    expect(ran.items).toEqual([]);
  });

  test('was flushed while a job was on its way has it found by the sweep that follows', async () => {
    const { ran, run } = recorder();
    const { core, control, watch } = await begin(run, { onRestored: () => reconciler.sweepAll() });
    const reconciler = new Reconciler(partsOf(core));
    const [id = ''] = await accept(core, 1);
    await control.flushall();
    // Its outbox row is still there when the watch looks, and gone right after.
    await core.testDatabase.pool.query(
      `INSERT INTO outbox SELECT id, queue, "userId", priority, generation, "runAt", now() + interval '1 hour' FROM jobs`,
    );
    await watch.runOnce();
    await core.testDatabase.pool.query('DELETE FROM outbox');
    await core.start();
    reconciler.start();
    cleanups.push(() => reconciler.stop());
    await ran.count(1, 'the job', 3_000);
    expect(ran.items[0]?.id).toBe(id);
  });
});

test('jobs move along when a single node gets a Redis, and back', async () => {
  const single = await startProbe('postgres', async () => undefined);
  await new GenerationWatch(partsOf(single)).runOnce();
  const [id = ''] = await accept(single, 1);
  const { core: other } = await begin(async () => undefined);
  const watch = new GenerationWatch({ ...partsOf(single), backend: other.backend });
  await watch.runOnce();
  expect(await generationsOf(single)).toEqual({ [id]: 2 });
  await single.testDatabase.pool.query('DELETE FROM outbox');
  await new GenerationWatch(partsOf(single)).runOnce();
  expect(await generationsOf(single)).toEqual({ [id]: 3 });
});
