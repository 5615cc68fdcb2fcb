import { sql } from 'kysely';
import { z } from 'zod';
import { defineCursor } from '../platform/cursor.js';
import type { Database } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import type { EventQueries, Page, PageRequest } from './queries.js';
import type { SynapEvent } from './synap-event.js';

// Ids are UUIDv7, so their order is the order of time.
const correlatedCursor = defineCursor('events', z.uuid());
const descendantsCursor = defineCursor('descendants', z.uuid());

/** How deep a causation tree is followed. */
const maxDepth = 100;
const firstId = '00000000-0000-0000-0000-000000000000';

export function createEventQueries({ sql: db }: Pick<Database, 'sql'>): EventQueries {
  return {
    find: (userId, eventId) =>
      db.selectFrom('events').selectAll().where('id', '=', eventId).where('userId', '=', userId).executeTakeFirst(),

    async getCorrelatedEvents(userId, correlationId, { cursor, limit }) {
      const after = cursor === undefined ? firstId : correlatedCursor.decode(cursor);
      const rows = await db
        .selectFrom('events')
        .selectAll()
        .where('userId', '=', userId)
        .where('correlationId', '=', correlationId)
        .where('id', '>', after)
        .orderBy('id')
        .limit(limit + 1)
        .execute();
      return toPage(rows, limit, correlatedCursor);
    },

    findEventsByCausation: (userId, eventId) =>
      db
        .selectFrom('events')
        .selectAll()
        .where('causationId', '=', eventId)
        .where('userId', '=', userId)
        .orderBy('id')
        .limit(1_000)
        .execute(),

    async descendants(userId, eventId, page) {
      if ((await this.find(userId, eventId)) === undefined)
        throw new SynapError('not_found', `no event ${eventId} of this user`);
      return readDescendants(db, userId, eventId, page);
    },
  };
}

/** A client can name any event as a cause, itself included, so the walk ends at `maxDepth` and keeps each event once. */
async function readDescendants(
  db: Database['sql'],
  userId: string,
  eventId: string,
  { cursor, limit }: PageRequest,
): Promise<Page<SynapEvent & { readonly depth: number }>> {
  const after = cursor === undefined ? firstId : descendantsCursor.decode(cursor);
  const { rows } = await sql<SynapEvent & { depth: number }>`
    WITH RECURSIVE tree (id, depth) AS (
      SELECT ${eventId}::uuid, 0
      UNION
      SELECT e.id, tree.depth + 1 FROM events e JOIN tree ON e."causationId" = tree.id
      WHERE e."userId" = ${userId} AND tree.depth < ${maxDepth}
    ),
    found AS (SELECT id, min(depth) AS depth FROM tree WHERE id <> ${eventId} GROUP BY id)
    SELECT e.*, found.depth FROM found JOIN events e ON e.id = found.id
    WHERE e.id > ${after} ORDER BY e.id LIMIT ${limit + 1}`.execute(db);
  return toPage(rows, limit, descendantsCursor);
}

function toPage<Event extends SynapEvent>(
  rows: Event[],
  limit: number,
  cursor: { encode(id: string): string },
): Page<Event> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return rows.length > limit && last !== undefined ? { items, nextCursor: cursor.encode(last.id) } : { items };
}
