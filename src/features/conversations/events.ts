import { z } from 'zod';
import { defineEvent } from '../../events/definition.js';
import { clientIdSchema } from '../../platform/ids.js';
import { defineFailure } from '../feature.js';

/** Without a thread id a new thread begins, whose id is the event's aggregate id. */
export const ConversationMessageSent = defineEvent({
  type: 'conversation.message.sent',
  aggregateType: 'conversation',
  origin: 'client',
  data: z.object({
    threadId: clientIdSchema.optional(),
    content: z.string().trim().min(1).max(32_000),
  }),
  aggregateIdOf: ({ threadId }) => threadId,
  limit: { max: 20, windowMs: 5 * 60_000 },
});

export const ConversationResponseGenerated = defineEvent({
  type: 'conversation.response.generated',
  aggregateType: 'conversation',
  origin: 'handler',
  data: z.object({
    threadId: z.string(),
    userMessageId: z.uuid(),
    assistantMessageId: z.uuid(),
    response: z.string(),
  }),
});

export const ConversationMessageFailed = defineFailure('conversation.message.failed', 'conversation');
