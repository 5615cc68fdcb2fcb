import { z } from 'zod';
import { clientIdSchema } from '../../platform/ids.js';
import { defineRead } from '../feature.js';
import { newestFirst, pageQuery } from '../paging.js';
import { toSummary } from './projection.js';

const paging = newestFirst('notes');

const listNotes = defineRead({
  path: '/v1/notes',
  params: z.object({}),
  query: pageQuery,
  async run({ userId, query, database }) {
    const rows = await (
      await database.prisma()
    ).note.findMany({
      where: { userId, ...paging.after(query) },
      omit: { content: true },
      ...paging.window(query),
    });
    return paging.page(rows, query, toSummary);
  },
});

const getNote = defineRead({
  path: '/v1/notes/:id',
  params: z.object({ id: clientIdSchema }),
  query: z.object({}),
  async run({ userId, params: { id }, database }) {
    const row = await (await database.prisma()).note.findUnique({ where: { userId_id: { userId, id } } });
    return row === null ? undefined : { ...toSummary(row), content: row.content };
  },
});

export const noteReads = [listNotes, getNote];
