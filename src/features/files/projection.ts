import type { Selectable } from 'kysely';
import type { DB, Sql } from '../../platform/database.js';
import { fileUrl } from './names.js';

/** What a client sees of a file. */
export type FileView = {
  readonly id: string;
  readonly name: string;
  readonly contentType: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  readonly url: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
};

/** A file and where its bytes lie. */
export type StoredFile = FileView & { readonly path: string };

export interface NewFile {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly contentType: string;
  readonly size: number;
  readonly sha256: string;
  readonly path: string;
}

/** A file never changes: where it is there already (an upload, a restarted job), it stays as it is. */
export async function insertFile(
  tx: Sql,
  { id, userId, name, contentType, size, sha256, path }: NewFile,
): Promise<FileView> {
  const row = await tx
    .insertInto('files')
    .values({ id, userId, name, contentType, size: String(size), sha256, path })
    .onConflict((conflict) => conflict.column('id').doUpdateSet((was) => ({ name: was.ref('files.name') })))
    .returningAll()
    .executeTakeFirstOrThrow();
  return toView(row);
}

/** The user's own file, or undefined. */
export async function findFile(sql: Sql, userId: string, id: string): Promise<StoredFile | undefined> {
  const row = await sql
    .selectFrom('files')
    .selectAll()
    .where('id', '=', id)
    .where('userId', '=', userId)
    .executeTakeFirst();
  return row && { ...toView(row), path: row.path };
}

function toView({ id, name, contentType, size, sha256, createdAt }: Selectable<DB['files']>): FileView {
  return { id, name, contentType, size: Number(size), sha256, url: fileUrl(id), createdAt: createdAt.toISOString() };
}
