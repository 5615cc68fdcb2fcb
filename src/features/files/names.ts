import { createHash } from 'node:crypto';

export const fileUrl = (fileId: string): string => `/v1/files/${fileId}`;

/**
 * Where a user's file lies: `<folder>/<fileId><extension>`. A user id comes from a token and may hold anything, so an id
 * that is no plain name gets a folder by its hash; `~` keeps the two kinds apart.
 */
export function objectPath(userId: string, fileId: string, extension = ''): string {
  const isPlain = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(userId);
  const folder = isPlain ? userId : `~${createHash('sha256').update(userId).digest('hex').slice(0, 40)}`;
  return `${folder}/${fileId}${extension}`;
}

/** What a client calls its file, as a name without path, controls or tricks of direction, of at most 200 characters. */
export function sanitizeName(given: string): string {
  const base = given.toWellFormed().normalize('NFC').split(/[/\\]/).at(-1) ?? '';
  const name = base.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').replace(/^[\s.]+|\s+$/g, '');
  return name === '' ? 'file' : shorten(name, 200);
}

/** Keeps the extension. */
function shorten(name: string, max: number): string {
  if (name.length <= max) return name;
  const extension = /\.[A-Za-z0-9]{1,16}$/.exec(name)?.[0] ?? '';
  return name.slice(0, max - extension.length).toWellFormed() + extension;
}

/** `.md` and the like; nothing where the name has no plain extension. */
export function extensionOf(name: string): string {
  return /\.[A-Za-z0-9]{1,16}$/.exec(name)?.[0].toLowerCase() ?? '';
}
