import { afterEach, describe, expect, test } from '@jest/globals';
import type { Core, QueueMode } from '../../test/support/core.js';
import { partsOf, probeQueue } from '../../test/support/dispatch.js';
import { ask, startProbe, stopProbes } from '../../test/support/probe.js';
import { Collected, eventually } from '../../test/support/signals.js';
import { SettingsKeeper } from './settings-keeper.js';

afterEach(stopProbes);

async function set({ database }: Core, values: Record<string, number | boolean | null>): Promise<void> {
  const row = { queue: probeQueue, updatedBy: 'olga', ...values };
  await database.sql
    .insertInto('queue_settings')
    .values(row)
    .onConflict((old) => old.column('queue').doUpdateSet(row))
    .execute();
}

describe.each<QueueMode>(['postgres', 'redis'])('settings of a queue (%s)', (mode) => {
  test('are applied, applied again where they were forgotten, and taken back', async () => {
    const core = await startProbe(mode, async () => undefined);
    const queue = core.backend.queue(probeQueue);
    const keeper = new SettingsKeeper(partsOf(core));
    const seen = async () => ({
      isPaused: await queue.isPaused(),
      concurrency: await queue.getGlobalConcurrency(),
      rate: await queue.getGlobalRateLimit(),
    });
    await set(core, { isPaused: true, concurrency: 2, rateMax: 5, rateWindowMs: 1_000 });
    await keeper.runOnce();
    const wanted = { isPaused: true, concurrency: 2, rate: { max: 5, duration: 1_000 } };
    expect(await seen()).toEqual(wanted);
    await queue.resume();
    await queue.removeGlobalConcurrency();
    await queue.removeGlobalRateLimit();
    await keeper.runOnce();
    expect(await seen()).toEqual(wanted);
    await set(core, { isPaused: false, concurrency: null, rateMax: null, rateWindowMs: null });
    await keeper.runOnce();
    expect(await seen()).toEqual({ isPaused: false, concurrency: null, rate: null });
  });

  test('hold: no more jobs run at a time, and when the limit goes the rest follows', async () => {
    let running = 0;
    let most = 0;
    const started = new Collected<number>();
    const gate = Promise.withResolvers<void>();
    const core = await startProbe(mode, async ({ event }) => {
      most = Math.max(most, ++running);
      started.add(event.data.n);
      await gate.promise;
      running--;
    });
    const keeper = new SettingsKeeper(partsOf(core));
    await set(core, { concurrency: 2 });
    await keeper.runOnce();
    await core.start();
    for (let n = 0; n < 6; n++) await core.acceptor.accept('ada', ask(n));
    await started.count(2, 'jobs');
    await eventually(async () => {
      const { active } = await core.backend.queue(probeQueue).getJobCounts('active');
      return active === 2 ? true : undefined;
    }, 'two in hand');
    gate.resolve();
    await started.count(6, 'jobs');
    expect(most).toBe(2);
    await set(core, { concurrency: null });
    await keeper.runOnce();
    for (let n = 6; n < 9; n++) await core.acceptor.accept('ada', ask(n));
    await started.count(9, 'jobs');
  });
});
