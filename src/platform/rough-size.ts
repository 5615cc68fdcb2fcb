import type { Json } from './text.js';

/** Bytes that a value takes as JSON, roughly and cheaply: nothing is serialized only to learn its size. */
export function roughSize(value: Json | undefined): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 8;
  let size = 2;
  if (Array.isArray(value)) for (const item of value as readonly Json[]) size += roughSize(item);
  else for (const [key, item] of Object.entries(value)) size += key.length + 4 + roughSize(item);
  return size;
}
