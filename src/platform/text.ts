/**
 * Postgres refuses U+0000 and lone surrogates in text and jsonb (22P05, 22P02); JSON.parse and zod let them pass. One such
 * value inside a batched statement would fail everybody's rows, so it is refused where it enters.
 */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000');
}

/** The JSON path of the first string (or key) in `value` that Postgres could not store, or undefined. */
export function findUnstorable(value: unknown, path = ''): string | undefined {
  if (typeof value === 'string') return isStorableText(value) ? undefined : path;
  if (Array.isArray(value)) return firstUnstorable(value.entries(), path);
  if (typeof value === 'object' && value !== null) return firstUnstorable(Object.entries(value), path);
  return undefined;
}

function firstUnstorable(entries: Iterable<readonly [string | number, unknown]>, path: string): string | undefined {
  for (const [key, item] of entries) {
    const at = path === '' ? String(key) : `${path}.${key}`;
    if (typeof key === 'string' && !isStorableText(key)) return path === '' ? 'a key' : `${path}, a key`;
    const found = findUnstorable(item, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A JSON value: what jsonb columns hold and step results, notifications and events carry. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** The JSON text of a value, the same whatever order the keys of its objects have. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
