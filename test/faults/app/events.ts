import { z } from 'zod';
import { built } from './kit.ts';

const { defineEvent } = await built('events/definition');
const { defineFailure } = await built('features/feature');

/** The client's own name for what it asked; it is also the request id. */
const ref = z.string().max(128);

export const WorkRequested = defineEvent({
  type: 'fault.work.requested',
  aggregateType: 'fault',
  origin: 'client',
  data: z.object({
    ref,
    /** Between the outside effect and the last step. */
    sleepMs: z.number().int().min(0).max(60_000).default(0),
    filler: z.string().default(''),
  }),
});
export const WorkFailed = defineFailure('fault.work.failed', 'fault');

/** What a finished piece of work causes. */
export const EchoRequested = defineEvent({
  type: 'fault.echo.requested',
  aggregateType: 'fault',
  origin: 'handler',
  data: z.object({ ref }),
});
export const EchoFailed = defineFailure('fault.echo.failed', 'fault');

export const OrderedRequested = defineEvent({
  type: 'fault.ordered.requested',
  aggregateType: 'lane',
  origin: 'client',
  data: z.object({ ref, lane: z.string(), n: z.number().int() }),
  aggregateIdOf: ({ lane }) => lane,
});
export const OrderedFailed = defineFailure('fault.ordered.failed', 'lane');

/** Only the schedule sends it. */
export const TickRequested = defineEvent({
  type: 'fault.tick.requested',
  aggregateType: 'fault',
  origin: 'handler',
  data: z.object({ at: z.string() }),
});
export const TickFailed = defineFailure('fault.tick.failed', 'fault');

/** `curable` is refused until its user is cured; `endless` ends only when it is cancelled. */
export const poisons = ['throw', 'refuse', 'loop', 'exit', 'hog', 'flaky', 'curable', 'endless'] as const;
export type Poison = (typeof poisons)[number];

export const PoisonRequested = defineEvent({
  type: 'fault.poison.requested',
  aggregateType: 'fault',
  origin: 'client',
  data: z.object({ ref, how: z.enum(poisons) }),
});
export const PoisonFailed = defineFailure('fault.poison.failed', 'fault');
