import { z } from 'zod';
import { clientIdSchema } from '../../platform/ids.js';
import { defineRead } from '../feature.js';
import { newestFirst, pageQuery } from '../paging.js';
import { toMessageView, toThreadView } from './projection.js';

const threadPaging = newestFirst('conversations');
const messagePaging = newestFirst('messages');

const listThreads = defineRead({
  path: '/v1/conversations',
  params: z.object({}),
  query: pageQuery,
  async run({ userId, query, database }) {
    const rows = await (
      await database.prisma()
    ).conversationThread.findMany({
      where: { userId, ...threadPaging.after(query) },
      ...threadPaging.window(query),
    });
    return threadPaging.page(rows, query, toThreadView);
  },
});

const listMessages = defineRead({
  path: '/v1/conversations/:threadId/messages',
  params: z.object({ threadId: clientIdSchema }),
  query: pageQuery,
  async run({ userId, params: { threadId }, query, database }) {
    const { conversationThread, conversationMessage } = await database.prisma();
    if ((await conversationThread.findUnique({ where: { userId_id: { userId, id: threadId } } })) === null)
      return undefined;
    const rows = await conversationMessage.findMany({
      where: { userId, threadId, ...messagePaging.after(query) },
      ...messagePaging.window(query),
    });
    return messagePaging.page(rows, query, toMessageView);
  },
});

export const conversationReads = [listThreads, listMessages];
