import { z } from 'zod';
import { clientIdSchema } from '../../platform/ids.js';
import { defineRead } from '../feature.js';
import { newestFirst, pageQuery } from '../paging.js';
import { toProjectView } from './projection.js';

const paging = newestFirst('projects');

const listProjects = defineRead({
  path: '/v1/projects',
  params: z.object({}),
  query: pageQuery,
  async run({ userId, query, database }) {
    const rows = await (
      await database.prisma()
    ).project.findMany({
      where: { userId, ...paging.after(query) },
      ...paging.window(query),
    });
    return paging.page(rows, query, toProjectView);
  },
});

const getProject = defineRead({
  path: '/v1/projects/:id',
  params: z.object({ id: clientIdSchema }),
  query: z.object({}),
  async run({ userId, params: { id }, database }) {
    const row = await (await database.prisma()).project.findUnique({ where: { userId_id: { userId, id } } });
    return row === null ? undefined : toProjectView(row);
  },
});

export const projectReads = [listProjects, getProject];
