import { defineFeature } from '../feature.js';
import { answerMessage } from './answer-message.js';
import { ConversationMessageFailed, ConversationMessageSent, ConversationResponseGenerated } from './events.js';
import { conversationReads } from './queries.js';

export const conversations = defineFeature({
  name: 'conversations',
  events: [ConversationMessageSent, ConversationResponseGenerated, ConversationMessageFailed],
  handlers: [answerMessage],
  reads: conversationReads,
});
