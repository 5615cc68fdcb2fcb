import { EventEmitter } from 'node:events';
import { Logger, makeWorkerUtils, run, type WorkerEvents } from 'graphile-worker';
import pg from 'pg';
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
    // Its completion is stored in a batch a moment later: that all are is looked at in the end.
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
    const client = new pg.Client({ connectionString });
    await client.connect();
    const { rowCount } = await client.query('SELECT FROM graphile_worker.jobs LIMIT 1');
    await client.end();
    if (rowCount !== 0) throw new Error('jobs that were said to be complete are still stored');
    return ends;
  },
});
