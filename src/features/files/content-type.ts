import { extname } from 'node:path';

const unknownType = 'application/octet-stream';

const signatures: readonly (readonly [type: string, offset: number, bytes: string])[] = [
  ['image/png', 0, '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', 0, '\xff\xd8\xff'],
  ['image/gif', 0, 'GIF8'],
  ['image/webp', 8, 'WEBP'],
  ['application/pdf', 0, '%PDF-'],
  ['application/zip', 0, 'PK\x03\x04'],
  ['application/gzip', 0, '\x1f\x8b'],
];

const typeByExtension: Readonly<Record<string, string>> = {
  '.md': 'text/markdown',
  '.markdown': 'text/markdown',
  '.txt': 'text/plain',
  '.csv': 'text/csv',
  '.html': 'text/html',
  '.json': 'application/json',
};

/** How many bytes `decideContentType` wants to see. */
export const headBytes = 1_024;

/**
 * The type to keep: what the client says, unless the bytes say otherwise. A picture that is none, or a page called a picture,
 * is never stored as one.
 */
export function decideContentType(declared: string, name: string, head: Buffer): string {
  const claimed = parseType(declared) ?? unknownType;
  const found = signatures.find(
    ([, offset, bytes]) => head.toString('latin1', offset, offset + bytes.length) === bytes,
  )?.[0];
  if (found !== undefined) return found === 'application/zip' && isPackage(claimed) ? claimed : found;
  if (!looksLikeText(head)) return isTextual(claimed) || hasSignature(claimed) ? unknownType : claimed;
  if (isTextual(claimed)) return claimed;
  return typeByExtension[extname(name).toLowerCase()] ?? 'text/plain';
}

/** Whether bytes of this type are text that a person reads. */
export function isTextual(type: string): boolean {
  return /^text\/|^application\/(json|xml|yaml|x-yaml|javascript|x-ndjson)$|\+(json|xml)$/.test(type);
}

function parseType(declared: string): string | undefined {
  const type = declared.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return /^[a-z]+\/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}$/.test(type) ? type : undefined;
}

const hasSignature = (type: string): boolean => signatures.some(([known]) => known === type);

/** Office documents and the like are zip files inside. */
const isPackage = (type: string): boolean =>
  type !== unknownType && !isTextual(type) && !hasSignature(type) && type.startsWith('application/');

function looksLikeText(head: Buffer): boolean {
  try {
    // `stream`: the head may end in the middle of a character.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
    // oxlint-disable-next-line no-control-regex
    return !/[\u0000-\u0008\u000E-\u001A\u001C-\u001F]/.test(text);
  } catch {
    return false;
  }
}
