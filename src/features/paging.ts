import { z } from 'zod';
import type { Page, PageRequest } from '../events/queries.js';
import { cursorSchema, defineCursor } from '../platform/cursor.js';

/** The query parameters of every listing. */
export const pageQuery = z.object({
  cursor: cursorSchema.optional(),
  limit: z.coerce.number().int().min(1).max(100).default(50),
});

interface Listed {
  readonly id: string;
  readonly createdAt: Date;
}

/**
 * Pages of a projection, newest first, as arguments for Prisma's findMany. A cursor is the place of the last item, not a
 * count, so that items which arrive meanwhile neither repeat nor hide others.
 */
export function newestFirst(name: string) {
  const cursors = defineCursor(name, z.tuple([z.iso.datetime(), z.string()]));

  return {
    /** What `where` needs beside the owner. */
    after(page: PageRequest) {
      if (page.cursor === undefined) return {};
      const [createdAt, id] = cursors.decode(page.cursor);
      // The first condition is implied by the second; Postgres needs it to walk the index from there.
      return { createdAt: { lte: createdAt }, OR: [{ createdAt: { lt: createdAt } }, { id: { lt: id } }] };
    },

    /** One row more than the page: whether it is there tells whether a next page is. */
    window(page: PageRequest) {
      return { orderBy: [{ createdAt: 'desc' as const }, { id: 'desc' as const }], take: page.limit + 1 };
    },

    page<Row extends Listed, Item>(rows: readonly Row[], page: PageRequest, show: (row: Row) => Item): Page<Item> {
      const items = rows.slice(0, page.limit);
      const last = items.at(-1);
      const hasNext = last !== undefined && rows.length > page.limit;
      return {
        items: items.map(show),
        ...(hasNext && { nextCursor: cursors.encode([last.createdAt.toISOString(), last.id]) }),
      };
    },
  };
}
