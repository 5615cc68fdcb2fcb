import { afterEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Reconciler } from '../../src/dispatch/reconciler.js';
import { systemClock } from '../../src/platform/clock.js';
import { createMetrics } from '../../src/platform/metrics.js';
import type { QueueMode } from '../support/core.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';

afterEach(stopProbes);

describe.each<QueueMode>(['postgres', 'redis'])('a queue that has forgotten its jobs (%s)', (mode) => {
  test('gets them again, each once, and what it still has is left alone', async () => {
    const ran: number[] = [];
    const {
      acceptor,
      start: run,
      entries,
      backend,
      fastPath,
      database,
      catalogue,
      testDatabase,
    } = await startProbe(mode, async ({ event, notify }) => {
      ran.push(event.data.n);
      notify.success('probe.run.completed', { n: event.data.n });
    });
    for (let n = 1; n <= 3; n++) await acceptor.accept('ada', ask(n));
    await fastPath.drain();
    const queue = backend.queue('probe.run.requested');
    const [kept, ...lost] = await queue.getJobs(['waiting', 'prioritized']);
    for (const job of lost) await job.remove();

    const reconciler = new Reconciler({
      pool: database.pool,
      backend,
      queues: catalogue.queues,
      clock: systemClock,
      logger: pino({ level: 'silent' }),
      metrics: createMetrics('synap_'),
      overdueMs: 0,
    });
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
