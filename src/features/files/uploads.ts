import { Readable } from 'node:stream';
import { z } from 'zod';
import { isConnectionLoss, unavailable, type Sql } from '../../platform/database.js';
import { newId } from '../../platform/ids.js';
import { decideContentType, headBytes } from './content-type.js';
import { extensionOf, objectPath, sanitizeName } from './names.js';
import { findFile, insertFile, type FileView, type NewFile } from './projection.js';
import type { Storage } from './storage.js';

export interface Upload {
  readonly userId: string;
  /** What the client calls it; it is cleaned here. */
  readonly name: string;
  /** What the client says it is; the bytes have the last word. */
  readonly contentType: string;
  /** Read to its end or to the first fault; whoever opened it closes it. */
  readonly stream: Readable;
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface Uploads {
  /** @throws SynapError `payload_too_large`. Nothing is kept of an upload that fails. */
  saveUpload(upload: Upload): Promise<FileView>;
  /** The user's own file, or undefined. */
  openFile(userId: string, id: string): Promise<{ readonly file: FileView; readonly stream: Readable } | undefined>;
}

export function createUploads({ storage, sql }: { readonly storage: Storage; readonly sql: Sql }): Uploads {
  return {
    async saveUpload({ userId, stream, maxBytes, signal, ...said }) {
      const id = newId();
      const name = sanitizeName(said.name);
      const { head, whole } = await peek(stream, headBytes);
      const contentType = decideContentType(said.contentType, name, head);
      const stored = await storage.put(objectPath(userId, id, extensionOf(name)), whole, { maxBytes, signal });
      return keep(storage, sql, { id, userId, name, contentType, ...stored });
    },

    async openFile(userId, id) {
      if (!z.uuid().safeParse(id).success) return undefined;
      const found = await findFile(sql, userId, id);
      if (found === undefined) return undefined;
      const { path, ...file } = found;
      return { file, stream: await storage.open(path) };
    },
  };
}

/**
 * Bytes first, row second: a row without its bytes would be a lie. Where the row is refused, the bytes are taken back; where
 * the connection is lost, the row may have been committed, and bytes without a row are the lesser evil.
 */
async function keep(storage: Storage, sql: Sql, file: NewFile): Promise<FileView> {
  try {
    return await insertFile(sql, file);
  } catch (thrown) {
    if (isConnectionLoss(thrown)) throw unavailable(thrown);
    await storage.delete(file.path);
    throw thrown;
  }
}

/**
 * The first bytes of a stream, and a stream that still has them. The source is only ever asked for more, never closed:
 * destroying a request would take the answer's connection with it.
 */
async function peek(source: Readable, bytes: number): Promise<{ head: Buffer; whole: Readable }> {
  const rest = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const chunks: Buffer[] = [];
  for (let size = 0; size < bytes;) {
    const next = await rest.next();
    if (next.done === true) break;
    chunks.push(next.value);
    size += next.value.length;
  }
  async function* replay() {
    yield* chunks;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  }
  return { head: Buffer.concat(chunks).subarray(0, bytes), whole: Readable.from(replay(), { objectMode: false }) };
}
