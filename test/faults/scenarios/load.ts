import type { Surge } from '../client/plan.ts';
import type { Scenario, Stage } from '../scenario.ts';

const surge: Surge = { from: 150, factor: 1.5, burstSeconds: 4 };
const statementMs = 1_000;

/**
 * Each statement that accepts takes a second in Postgres. An api sends two of them at a time, of 100 requests each: so what it bears is some
 * 200 a second whichever machine it is on, and a client beside it can ask for more. How much it is in fact, the client finds out.
 */
async function slowAccepting({ stack, answered, healed }: Stage): Promise<void> {
  const { pool } = stack.postgres;
  // Whatever accepts looks after the key that came with it, and nothing else does.
  await pool.query(`
    CREATE FUNCTION fault_slow() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_sleep(${statementMs / 1_000}); RETURN NULL; END $$;
    CREATE TRIGGER fault_slow BEFORE INSERT ON idempotency_keys FOR EACH STATEMENT EXECUTE FUNCTION fault_slow()`);
  try {
    await answered();
  } finally {
    await pool.query('DROP FUNCTION fault_slow CASCADE');
  }
  healed();
}

export const load: readonly Scenario[] = [
  {
    name: 'duplicate storm',
    load: { perSecond: 12, seconds: 6, copies: 5, mix: { work: 9, ordered: 1 } },
  },
  {
    name: 'duplicate storm while Postgres hangs up',
    load: { perSecond: 12, seconds: 6, copies: 5, mix: { work: 9, ordered: 1 } },
    // An attempt that loses its database again and again waits longer each time, and whoever stands behind it in its lane waits too.
    bounds: { startMs: 30_000 },
    async act({ stack, at, random }) {
      for (let ms = 500; ms < 5_000; ms += 150 + random() * 300) {
        await at(ms);
        stack.postgresProxy.reset();
      }
    },
  },
  {
    // The backlog of what was accepted waits in Postgres and is worked off.
    name: 'overload',
    load: { perSecond: 0, seconds: 6, users: 8, mix: { heavy: 1 }, surge },
    bounds: { startMs: 120_000, toldMs: 10_000, drainMs: 150_000, memoryMb: 384 },
    act: slowAccepting,
  },
  {
    // More comes than a window takes, and nobody takes it: the rest waits in Postgres.
    name: 'a flood while the workers are frozen',
    load: { perSecond: 150, seconds: 6, users: 8, mix: { work: 1 } },
    async act({ stack, at }) {
      await at(200);
      for (const worker of stack.of('worker')) worker.freeze();
      await at(6_000);
      for (const worker of stack.of('worker')) worker.thaw();
    },
    bounds: { startMs: 60_000, drainMs: 90_000, callMs: 8_000 },
  },
  {
    name: 'huge payloads',
    load: { perSecond: 15, seconds: 5, extra: { huge: 6, tooHuge: 3 } },
    bounds: { callMs: 10_000 },
  },
];
