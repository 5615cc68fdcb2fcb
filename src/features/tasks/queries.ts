import { z } from 'zod';
import { clientIdSchema } from '../../platform/ids.js';
import { defineRead } from '../feature.js';
import { newestFirst, pageQuery } from '../paging.js';
import { toTaskView } from './projection.js';

const paging = newestFirst('tasks');

const taskQuery = pageQuery.extend({
  status: z.enum(['open', 'completed']).optional(),
  projectId: clientIdSchema.optional(),
});

const listTasks = defineRead({
  path: '/v1/tasks',
  params: z.object({}),
  query: taskQuery,
  async run({ userId, query, database }) {
    const rows = await (
      await database.prisma()
    ).task.findMany({
      where: { userId, ...narrowed(query), ...paging.after(query) },
      ...paging.window(query),
    });
    return paging.page(rows, query, toTaskView);
  },
});

const getTask = defineRead({
  path: '/v1/tasks/:id',
  params: z.object({ id: clientIdSchema }),
  query: z.object({}),
  async run({ userId, params: { id }, database }) {
    const row = await (await database.prisma()).task.findUnique({ where: { userId_id: { userId, id } } });
    return row === null ? undefined : toTaskView(row);
  },
});

function narrowed({ status, projectId }: z.infer<typeof taskQuery>) {
  return {
    ...(status !== undefined && { completedAt: status === 'open' ? null : { not: null } }),
    ...(projectId !== undefined && { projectId }),
  };
}

export const taskReads = [listTasks, getTask];
