import { DBOS } from '@dbos-inc/dbos-sdk';
import pg from 'pg';
import { effectsTable } from '../app/effects.ts';
import { forEach, runPeer } from './peer.ts';

// DBOS with a workflow of one step, whose step writes the row that Synap's step writes.
const queue = 'work';
const workerConcurrency = 200;
const minPollingIntervalMs = 10;

let pool: pg.Pool | undefined;
let settings: { readonly name: string; readonly systemDatabaseUrl: string } | undefined;
let count = 0;

const write = async (id: string, n: number): Promise<void> => {
  await pool?.query({
    name: 'write',
    text: 'INSERT INTO bench_effects (id, n) VALUES ($1, $2)',
    values: [id, n],
  });
};
const work = DBOS.registerWorkflow(
  async (n: number) => DBOS.runStep(() => write(DBOS.workflowID ?? '', n), { name: 'write' }),
  { name: 'work' },
);

async function launch(listenQueues: string[]): Promise<void> {
  if (settings === undefined) throw new Error('not prepared');
  DBOS.setConfig({
    ...settings,
    listenQueues,
    logLevel: 'error',
    enableOTLP: false,
    tracingEnabled: false,
    systemDatabasePoolSize: 20,
    applicationVersion: '1',
  });
  await DBOS.launch();
}

await runPeer({
  async prepare(url, wanted) {
    count = wanted;
    pool = new pg.Pool({ connectionString: url, max: 10 });
    await pool.query(effectsTable);
    settings = { name: 'bench', systemDatabaseUrl: url };
    await launch(['none']);
    await DBOS.registerQueue(queue, { workerConcurrency, minPollingIntervalMs });
    await forEach(count, 50, (n) => DBOS.startWorkflow(work, { queueName: queue })(n));
    await DBOS.shutdown();
  },

  async drain() {
    await launch([queue]);
    const left = `SELECT 1 FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING') LIMIT 1`;
    while ((await pool?.query(left))?.rowCount !== 0) await new Promise((resolve) => setTimeout(resolve, 250));
    const ended = `SELECT updated_at::float8 AS at FROM dbos.workflow_status WHERE status = 'SUCCESS'`;
    const { rows } = (await pool?.query<{ at: number }>(ended)) ?? { rows: [] };
    await DBOS.shutdown();
    await pool?.end();
    return rows.map(({ at }) => at);
  },
});
