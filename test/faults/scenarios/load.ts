import type { Scenario } from '../scenario.ts';

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
    // About one and a half times what two cores carry of this work; the backlog waits in Postgres and is worked off.
    name: 'overload',
    load: { perSecond: 150, seconds: 8, users: 8 },
    bounds: { startMs: 60_000, drainMs: 90_000, callMs: 8_000 },
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
