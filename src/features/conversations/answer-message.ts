import { exponential } from '../../execution/retry.js';
import { defineHandler } from '../feature.js';
import { ConversationMessageFailed, ConversationMessageSent, ConversationResponseGenerated } from './events.js';
import { answerIdOf, beginThread, continueThread, putMessage, turnsUpTo } from './projection.js';

/**
 * The user's message is kept before anybody is asked, so that it is there whatever becomes of the answer. The answer's text
 * goes to the request's room while it is being made; the notification at the end has the whole of it.
 */
export const answerMessage = defineHandler({
  on: ConversationMessageSent,
  emits: [ConversationResponseGenerated],
  failure: ConversationMessageFailed,
  retry: { attempts: 3, backoff: exponential({ baseMs: 2_000, jitter: 0.5 }) },
  timeoutMs: 180_000,

  async run({ event, signal, services, step, stream, progress, emit, notify }) {
    // A message has the id of the event that sent it, so that repeating the step keeps the same message.
    const { userId, id: userMessageId, aggregateId: threadId } = event;
    const { content } = event.data;

    const asked = await step.transaction('append-user-message', async (tx) => {
      const thread =
        event.data.threadId === undefined
          ? await beginThread(tx, userId, threadId, content)
          : await continueThread(tx, userId, threadId);
      const message = await putMessage(tx, {
        userId,
        id: userMessageId,
        threadId,
        role: 'user',
        content,
        createdAt: event.timestamp,
      });
      return { threadTitle: thread.title, createdAt: message.createdAt };
    });
    await step.notify('announce', {
      type: 'conversation.message.received',
      status: 'pending',
      data: { threadId, userMessageId, content, ...asked },
    });
    progress(10, 'Asking the assistant');

    const answer = await step('run-synap-agent', async ({ idempotencyKey }) => {
      const turns = await turnsUpTo(services.sql, { userId, threadId, id: userMessageId, createdAt: event.timestamp });
      return services.assistant.answer({ userId, turns, signal, idempotencyKey, onText: (text) => stream.write(text) });
    });
    progress(90, 'Answered');

    const reply = await step.transaction('append-assistant-message', (tx) =>
      putMessage(tx, { userId, id: answerIdOf(userMessageId), threadId, role: 'assistant', content: answer.text }),
    );

    const response = { threadId, userMessageId, assistantMessageId: reply.id, response: reply.content };
    emit(ConversationResponseGenerated, response);
    notify.success('conversation.response.generated', {
      ...response,
      threadTitle: asked.threadTitle,
      assistant: services.assistant.name,
      createdAt: reply.createdAt,
    });
    if (event.data.threadId === undefined) services.metrics.conversationsStarted.inc();
  },
});
