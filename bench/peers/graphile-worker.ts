import { EventEmitter } from 'node:events';
import { Logger, makeWorkerUtils, run, type WorkerEvents } from 'graphile-worker';
import { runPeer } from './peer.ts';

// graphile-worker with the settings of its own page on performance (worker.graphile.org/docs/performance).
const worker = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};
const logger = new Logger(() => () => undefined);
const perCall = 1_000;

let connectionString = '';
let count = 0;

await runPeer({
  async prepare(url, wanted) {
    connectionString = url;
    count = wanted;
    const utils = await makeWorkerUtils({ connectionString, logger });
    await utils.migrate();
    for (let n = 0; n < count; n += perCall) {
      const size = Math.min(perCall, count - n);
      await utils.addJobs(Array.from({ length: size }, (_, i) => ({ identifier: 'work', payload: { n: n + i } })));
    }
    await utils.release();
  },

  async drain() {
    const ends: number[] = [];
    const all = Promise.withResolvers<void>();
    const events: WorkerEvents = new EventEmitter();
    // After its completion was stored, which is what counts.
    events.on('job:complete', () => {
      ends.push(Date.now());
      if (ends.length === count) all.resolve();
    });
    const runner = await run({
      preset: { worker: { ...worker, connectionString, logger } },
      taskList: { work: () => undefined },
      events,
      noHandleSignals: true,
    });
    await all.promise;
    await runner.stop();
    return ends;
  },
});
