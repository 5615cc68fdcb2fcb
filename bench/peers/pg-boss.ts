import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { runPeer } from './peer.ts';

// pg-boss as its page on workers has it for throughput: large batches, several workers, no pause while a fetch comes back full.
const batchSize = 500;
const localConcurrency = 4;
const queue = 'work';
const perCall = 1_000;

let boss: PgBoss | undefined;
let connectionString = '';
let count = 0;

await runPeer({
  async prepare(url, wanted) {
    connectionString = url;
    count = wanted;
    boss = new PgBoss({ connectionString, max: 20 });
    boss.on('error', (error) => process.stderr.write(`pg-boss: ${String(error)}\n`));
    await boss.start();
    await boss.createQueue(queue);
    for (let n = 0; n < count; n += perCall) {
      const size = Math.min(perCall, count - n);
      await boss.insert(
        queue,
        Array.from({ length: size }, (_, i) => ({ data: { n: n + i } })),
      );
    }
  },

  async drain() {
    const all = Promise.withResolvers<void>();
    let fetched = 0;
    const options = { batchSize, localConcurrency, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
    await boss?.work(queue, options, (jobs) => {
      fetched += jobs.length;
      if (fetched >= count) all.resolve();
      return Promise.resolve();
    });
    await all.promise;
    await boss?.offWork(queue, { wait: true });
    const client = new pg.Client({ connectionString });
    await client.connect();
    const { rows } = await client.query<{ at: number }>(
      `SELECT extract(epoch FROM completed_on)::float8 * 1000 AS at FROM pgboss.job WHERE name = $1 AND state = 'completed'`,
      [queue],
    );
    await client.end();
    await boss?.stop();
    return rows.map(({ at }) => at);
  },
});
