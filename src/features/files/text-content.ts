import { isStorableText } from '../../platform/text.js';
import { isTextual } from './content-type.js';
import type { StoredFile } from './projection.js';
import type { Storage } from './storage.js';

/** The text of a file, or undefined where it is none, is not UTF-8 or is larger than `maxBytes`. */
export async function readText(storage: Storage, file: StoredFile, maxBytes: number): Promise<string | undefined> {
  if (!isTextual(file.contentType) || file.size > maxBytes) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of await storage.open(file.path)) chunks.push(chunk as Buffer);
  const text = decode(Buffer.concat(chunks));
  return text !== undefined && isStorableText(text) ? text : undefined;
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
