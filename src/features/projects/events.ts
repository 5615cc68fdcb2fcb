import { z } from 'zod';
import { defineEvent } from '../../events/definition.js';
import { defineFailure } from '../feature.js';

export const ProjectCreationRequested = defineEvent({
  type: 'project.creation.requested',
  aggregateType: 'project',
  origin: 'client',
  data: z.object({
    name: z.string().trim().min(1).max(200),
    description: z.string().max(10_000).optional(),
  }),
});

export const ProjectCreationCompleted = defineEvent({
  type: 'project.creation.completed',
  aggregateType: 'project',
  origin: 'handler',
  data: z.object({ projectId: z.string() }),
});

export const ProjectCreationFailed = defineFailure('project.creation.failed', 'project');
