import { z } from 'zod';
import { built } from '../built.ts';

const { defineEvent } = await built('events/definition');
const { defineFailure } = await built('features/feature');

export const WorkRequested = defineEvent({
  type: 'bench.work.requested',
  aggregateType: 'bench',
  origin: 'client',
  data: z.object({ n: z.number().int() }),
});
export const WorkCompleted = defineEvent({
  type: 'bench.work.completed',
  aggregateType: 'bench',
  origin: 'handler',
  data: z.object({ n: z.number().int() }),
});
export const WorkFailed = defineFailure('bench.work.failed', 'bench');

export const EchoRequested = defineEvent({
  type: 'bench.echo.requested',
  aggregateType: 'bench',
  origin: 'client',
  /** `at`: when its sender meant to send it, in ms since the epoch, on the same machine's clock. */
  data: z.object({ n: z.number().int(), at: z.number() }),
});
export const EchoFailed = defineFailure('bench.echo.failed', 'bench');
