import type { Scenario } from '../scenario.ts';

const beside = { perSecond: 20, mix: { work: 9, ordered: 1 } };

export const poison: readonly Scenario[] = [
  { name: 'poison: throws', load: { ...beside, seconds: 5, extra: { throw: 5, refuse: 5, flaky: 5 } } },
  {
    name: 'poison: ends its process',
    // What takes seconds is there each time that a process is ended, and would be blamed each time.
    load: { ...beside, seconds: 8, extra: { exit: 3, slow: 6 }, sleepMs: 3_000 },
    bounds: { startMs: 15_000, drainMs: 90_000 },
  },
  {
    name: 'poison: never yields',
    load: { ...beside, seconds: 8, extra: { loop: 1 } },
    bounds: { startMs: 30_000, drainMs: 90_000 },
  },
  {
    name: 'poison: takes all memory',
    load: { ...beside, seconds: 8, extra: { hog: 1 } },
    bounds: { startMs: 30_000, drainMs: 90_000 },
  },
];
