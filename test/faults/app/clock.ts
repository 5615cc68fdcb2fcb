import type { Schedule } from '../../../src/events/schedule.js';

/** What the suite's schedule is called, whose its events are, and how often it ticks: on full multiples since the epoch. */
export const scheduleName = 'fault-clock';
export const clockUser = 'faults-clock';
export const tickEveryMs = 2_000;

const tickBefore = (ms: number) => Math.floor(ms / tickEveryMs) * tickEveryMs;

export const everyTick: Schedule['ticks'] = {
  next: (after) => new Date(tickBefore(after.getTime()) + tickEveryMs),
  last(after, upTo) {
    const tick = new Date(tickBefore(upTo.getTime()));
    return tick > after ? tick : undefined;
  },
};
