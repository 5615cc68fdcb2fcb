import { z } from 'zod';
import { isStorableText } from '../../../platform/text.js';

export const admin = { scope: 'admin' } as const;

/** A job's id is that of its event. */
export const jobParams = z.object({ jobId: z.uuid().toLowerCase() });

/** What is written into history and audit log. */
const reason = z.string().trim().min(1).max(1_000).refine(isStorableText, 'contains U+0000 or a lone surrogate');

export const replayOptions = {
  mode: z.enum(['resume', 'restart']).default('resume'),
  force: z.boolean().default(false),
};
export const discardOptions = { reason };
