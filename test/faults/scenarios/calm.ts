import type { Scenario } from '../scenario.ts';

/** Processes that have just started are slow; what they do first is checked like all else, but not measured. */
export const warmUp: Scenario = {
  name: 'warm-up',
  load: { perSecond: 20, seconds: 3, mix: { work: 8, slow: 1, ordered: 1 } },
  bounds: { startMs: 30_000, callMs: 20_000, toldMs: 30_000 },
};

/** What this machine needs where nothing is wrong; the bounds of all others are measured from here. */
export const calm: Scenario = {
  name: 'no fault',
  load: { perSecond: 20, seconds: 5, mix: { work: 8, slow: 1, ordered: 1 } },
  bounds: { startMs: 10_000, callMs: 10_000, toldMs: 10_000 },
  isFaultless: true,
};
