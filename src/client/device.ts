import type { ClientStorage } from './environment.js';
import { randomId } from './random-id.js';

const key = 'synap.device';

/** The same for all connections of this browser, as far as it lets us keep it. */
export function deviceOf(
  given: { readonly id?: string; readonly name?: string } | undefined,
  storage: ClientStorage,
): { id: string; name?: string } {
  return { id: given?.id ?? keptId(storage), ...(given?.name !== undefined && { name: given.name }) };
}

function keptId(storage: ClientStorage): string {
  const id = randomId();
  try {
    const kept = storage.getItem(key);
    if (kept !== null) return kept;
    storage.setItem(key, id);
  } catch {
    // Storage is full or forbidden: this page has an id of its own.
  }
  return id;
}
