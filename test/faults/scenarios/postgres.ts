import pg from 'pg';
import type { Scenario } from '../scenario.ts';
import { fillDisk, freeDisk } from '../stack/small-disk.ts';
import type { Stack } from '../stack/stack.ts';

const load = { perSecond: 20, seconds: 8, mix: { work: 7, slow: 2, ordered: 1 } };

const terminate = (stack: Stack) =>
  stack.postgres.pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'synap%'`,
  );

/** Takes connections until none is left. */
async function takeConnections(stack: Stack): Promise<pg.Client[]> {
  const taken: pg.Client[] = [];
  for (;;) {
    const client = new pg.Client({
      connectionString: stack.postgres.urlAt(stack.postgres.port),
      connectionTimeoutMillis: 2_000,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      taken.push(client);
    } catch {
      return taken;
    }
  }
}

export const postgres: readonly Scenario[] = [
  {
    name: 'Postgres restarted',
    load,
    async act({ stack, at }) {
      await at(1_500);
      await stack.postgres.stop();
      await at(3_500);
      await stack.postgres.start();
    },
  },
  {
    name: 'Postgres crashed',
    load,
    async act({ stack, at }) {
      await at(1_500);
      await stack.postgres.crash();
      await at(3_500);
      await stack.postgres.start();
    },
  },
  {
    name: 'backends terminated again and again',
    load,
    async act({ stack, at, random }) {
      for (let ms = 1_000; ms < 7_000; ms += 200 + random() * 600) {
        await at(ms);
        await terminate(stack);
      }
    },
  },
  {
    name: 'no connection to Postgres left',
    load,
    async act(stage) {
      const { stack, at } = stage;
      await at(1_500);
      const taken: pg.Client[] = [];
      for (let ms = 1_500; ms < 4_500; ms += 300) {
        await terminate(stack);
        taken.push(...(await takeConnections(stack)));
        await at(ms);
      }
      stage.note(`${taken.length} connections were taken`);
      if (taken.length < 50) throw new Error(`only ${taken.length} connections were left to take`);
      stage.healed();
      await Promise.all(taken.map((client) => client.end()));
    },
  },
  {
    name: 'pools exhausted by a locked table',
    load,
    async act({ stack, at }) {
      await at(1_500);
      const client = await stack.postgres.pool.connect();
      await client.query('BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE');
      await at(5_500);
      await client.query('ROLLBACK');
      client.release();
    },
    bounds: { callMs: 10_000 },
  },
  {
    name: 'disk of Postgres full',
    load,
    disk: 'small',
    async act({ stack, at }) {
      await at(1_500);
      await fillDisk(stack);
      await at(5_000);
      await freeDisk(stack);
    },
  },
];
