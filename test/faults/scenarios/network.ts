import { afterWorkerDeathMs, type Scenario } from '../scenario.ts';

const load = { perSecond: 20, seconds: 8, mix: { work: 7, slow: 2, ordered: 1 } };

export const network: readonly Scenario[] = [
  {
    name: 'connections to Redis half-open',
    load,
    async act({ stack, at }) {
      await at(1_500);
      stack.redisProxy.let('swallow');
      await at(4_500);
      stack.redisProxy.let('pass');
    },
    // A line that has fallen silent is only known by its silence.
    bounds: { startMs: 12_000, toldMs: 12_000 },
  },
  {
    name: 'connections to Redis reset again and again',
    load,
    async act({ stack, at, random }) {
      for (let ms = 1_000; ms < 7_000; ms += 200 + random() * 600) {
        await at(ms);
        stack.redisProxy.reset();
      }
    },
    // A ticket whose delivery was cut off is given out again when its lock has run out.
    bounds: { startMs: afterWorkerDeathMs },
  },
  {
    name: 'connections to Redis slow',
    load,
    async act({ stack, at }) {
      await at(1_000);
      stack.redisProxy.slow(100);
      await at(7_000);
      stack.redisProxy.slow(0);
    },
    // Less passes than comes, so there is a backlog to work off.
    bounds: { startMs: 10_000 },
  },
  {
    name: 'connections to Postgres half-open',
    load,
    async act({ stack, at }) {
      await at(1_500);
      stack.postgresProxy.let('swallow');
      await at(4_500);
      stack.postgresProxy.let('pass');
    },
    bounds: { callMs: 10_000, startMs: 12_000, toldMs: 12_000 },
  },
  {
    name: 'connections to Postgres reset again and again',
    load,
    async act({ stack, at, random }) {
      for (let ms = 1_000; ms < 7_000; ms += 200 + random() * 600) {
        await at(ms);
        stack.postgresProxy.reset();
      }
    },
  },
  {
    name: 'connections to Postgres slow',
    load: { ...load, perSecond: 15 },
    async act({ stack, at }) {
      await at(1_000);
      stack.postgresProxy.slow(50);
      await at(7_000);
      stack.postgresProxy.slow(0);
    },
    bounds: { startMs: 10_000 },
  },
];
