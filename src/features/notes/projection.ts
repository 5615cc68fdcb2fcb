import type { DB, Sql } from '../../platform/database.js';
import type { Selectable } from 'kysely';
import { NonRetryableError } from '../../execution/retry.js';

/** A note without its content, as listings and notifications show it. */
export type NoteSummary = {
  readonly id: string;
  readonly title: string;
  readonly tags: readonly string[];
  readonly excerpt: string;
  /** Bytes of the whole content; 0 where the note only has a file. */
  readonly contentLength: number;
  readonly fileId: string;
  readonly fileUrl: string;
  readonly filePath: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
};

export interface NewNote {
  readonly userId: string;
  readonly id: string;
  readonly title: string;
  readonly content: string;
  readonly tags: readonly string[];
  readonly fileId: string;
  readonly filePath: string;
  readonly fileUrl: string;
}

/**
 * Inserting a note again, as a restarted job does, finds it there.
 * @throws NonRetryableError `note_already_exists` where the user has another note under this id.
 */
export async function insertNote(tx: Sql, note: NewNote): Promise<NoteSummary> {
  const row = await tx
    .insertInto('notes')
    .values({
      ...note,
      tags: [...note.tags],
      excerpt: excerptOf(note.content),
      contentLength: Buffer.byteLength(note.content),
    })
    .onConflict((conflict) =>
      conflict
        .columns(['userId', 'id'])
        .doUpdateSet((was) => ({ title: was.ref('notes.title') }))
        .whereRef('notes.fileId', '=', 'excluded.fileId')
        .whereRef('notes.title', '=', 'excluded.title'),
    )
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) throw new NonRetryableError('note_already_exists', 'You have another note with this id.');
  return toSummary(row);
}

export function toSummary(row: Omit<Selectable<DB['notes']>, 'content'>): NoteSummary {
  const { id, title, tags, excerpt, contentLength, fileId, fileUrl, filePath } = row;
  return { id, title, tags, excerpt, contentLength, fileId, fileUrl, filePath, createdAt: row.createdAt.toISOString() };
}

const excerptLength = 280;

/** The beginning of a text on one line. */
export function excerptOf(content: string): string {
  const start = content
    .slice(0, 4 * excerptLength)
    .replace(/\s+/g, ' ')
    .trim();
  return start.length <= excerptLength && content.length <= 4 * excerptLength
    ? start
    : `${start.slice(0, excerptLength - 1).toWellFormed()}…`;
}
