import { z } from 'zod';
import { defineEvent } from '../../events/definition.js';
import { defineFailure } from '../feature.js';

export const maxContentLength = 1_000_000;

/** A note from `content`, or from a file that was uploaded before. */
export const NoteCreationRequested = defineEvent({
  type: 'note.creation.requested',
  aggregateType: 'note',
  origin: 'client',
  data: z
    .object({
      title: z.string().trim().min(1).max(500),
      content: z.string().max(maxContentLength).optional(),
      fileId: z.uuid().optional(),
      tags: z.array(z.string().trim().min(1).max(100)).max(50).default([]),
    })
    .refine(({ content, fileId }) => (content === undefined) !== (fileId === undefined), {
      path: ['content'],
      message: 'give either content or fileId',
    }),
});

/** Something that a user works with has come to be. */
export const EntityCreated = defineEvent({
  type: 'entity.created',
  aggregateType: 'note',
  origin: 'handler',
  data: z.object({ entityId: z.string(), entityType: z.literal('note'), title: z.string() }),
});

export const NoteCreationCompleted = defineEvent({
  type: 'note.creation.completed',
  aggregateType: 'note',
  origin: 'handler',
  data: z.object({ noteId: z.string(), fileId: z.uuid() }),
});

export const NoteCreationFailed = defineFailure('note.creation.failed', 'note');
