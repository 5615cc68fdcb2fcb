import { z } from 'zod';
import { defineEvent } from '../../events/definition.js';
import { clientIdSchema } from '../../platform/ids.js';
import { defineFailure } from '../feature.js';

/** Beyond, ISO 8601 has no four digits for the year, and Postgres counts before Christ. */
function isOfOurEra(date: string): boolean {
  const year = new Date(date).getUTCFullYear();
  return year >= 1 && year <= 9_999;
}

export const TaskCreationRequested = defineEvent({
  type: 'task.creation.requested',
  aggregateType: 'task',
  origin: 'client',
  data: z.object({
    title: z.string().trim().min(1).max(500),
    description: z.string().max(10_000).optional(),
    /** A day (`2026-12-24`, then midnight UTC) or a moment with its offset. */
    dueDate: z
      .union([z.iso.date(), z.iso.datetime({ offset: true })], 'must be a date or a date with time and offset')
      .refine(isOfOurEra, 'must be in the years 1 to 9999 (UTC)')
      .optional(),
    projectId: clientIdSchema.optional(),
  }),
});

export const TaskCreationCompleted = defineEvent({
  type: 'task.creation.completed',
  aggregateType: 'task',
  origin: 'handler',
  data: z.object({ taskId: z.string() }),
});

export const TaskCreationFailed = defineFailure('task.creation.failed', 'task');

export const TaskCompletionRequested = defineEvent({
  type: 'task.completion.requested',
  aggregateType: 'task',
  origin: 'client',
  data: z.object({ taskId: clientIdSchema }),
  aggregateIdOf: ({ taskId }) => taskId,
});

export const TaskCompletionProcessed = defineEvent({
  type: 'task.completion.processed',
  aggregateType: 'task',
  origin: 'handler',
  data: z.object({ taskId: z.string(), completedAt: z.iso.datetime() }),
});

export const TaskCompletionFailed = defineFailure('task.completion.failed', 'task');
