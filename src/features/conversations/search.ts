import { sql as raw } from 'kysely';
import type { Sql } from '../../platform/database.js';

export interface FoundNote {
  readonly title: string;
  readonly excerpt: string;
}

export interface FoundTask {
  readonly title: string;
  readonly dueDate: Date | null;
  readonly completedAt: Date | null;
}

// The newest of a user's rows; the search reads them one by one and must stay short for somebody who has very many.
const searched = 2_000;
const shown = 5;

/** Best match first: a word in the title counts most, then one in a tag, then one in the text; the newer one wins a tie. */
export async function searchNotes(sql: Sql, userId: string, keywords: readonly string[]): Promise<FoundNote[]> {
  const { rows } = await raw<FoundNote>`
    SELECT title, excerpt FROM (
      SELECT *, (
        SELECT sum(CASE WHEN strpos(lower(title), word) > 0 THEN 3
                        WHEN strpos(lower(array_to_string(tags, ' ')), word) > 0 THEN 2
                        WHEN strpos(lower(content), word) > 0 THEN 1
                        ELSE 0 END)
        FROM unnest(${[...keywords]}::text[]) AS word
      ) AS score
      FROM (SELECT * FROM notes WHERE "userId" = ${userId} ORDER BY "createdAt" DESC, id DESC LIMIT ${searched}) AS newest
    ) AS scored
    WHERE score > 0 ORDER BY score DESC, "createdAt" DESC LIMIT ${shown}`.execute(sql);
  return rows;
}

export async function searchTasks(sql: Sql, userId: string, keywords: readonly string[]): Promise<FoundTask[]> {
  const { rows } = await raw<FoundTask>`
    SELECT title, "dueDate", "completedAt" FROM (
      SELECT *, (
        SELECT sum(CASE WHEN strpos(lower(title), word) > 0 THEN 3
                        WHEN strpos(lower(coalesce(description, '')), word) > 0 THEN 1
                        ELSE 0 END)
        FROM unnest(${[...keywords]}::text[]) AS word
      ) AS score
      FROM (SELECT * FROM tasks WHERE "userId" = ${userId} ORDER BY "createdAt" DESC, id DESC LIMIT ${searched}) AS newest
    ) AS scored
    WHERE score > 0 ORDER BY score DESC, "completedAt" IS NULL DESC, "createdAt" DESC LIMIT ${shown}`.execute(sql);
  return rows;
}

export async function newestNotes(sql: Sql, userId: string): Promise<FoundNote[]> {
  return sql
    .selectFrom('notes')
    .select(['title', 'excerpt'])
    .where('userId', '=', userId)
    .orderBy('createdAt', 'desc')
    .orderBy('id', 'desc')
    .limit(shown)
    .execute();
}

/** Those that are due first. */
export async function openTasks(sql: Sql, userId: string): Promise<FoundTask[]> {
  return sql
    .selectFrom('tasks')
    .select(['title', 'dueDate', 'completedAt'])
    .where('userId', '=', userId)
    .where('completedAt', 'is', null)
    .orderBy('dueDate', (order) => order.asc().nullsLast())
    .orderBy('createdAt', 'desc')
    .limit(shown)
    .execute();
}
