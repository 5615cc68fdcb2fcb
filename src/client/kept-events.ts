import type { ClientStorage } from './environment.js';
import type { OutgoingEvent } from './types.js';

export type Unsent = OutgoingEvent & { readonly requestId: string };

/** Beyond these an event is only in its page's memory. */
const maxKept = 100;
const maxKeptChars = 256 * 1024;

/** One user's unsent events, over a reload. Several tabs share the list, so each changes only its own entries in it. */
export class KeptEvents {
  readonly #storage: ClientStorage;
  readonly #key: string;
  readonly #onError: (thrown: unknown) => void;

  constructor(storage: ClientStorage, userId: string, onError: (thrown: unknown) => void) {
    this.#storage = storage;
    this.#key = `synap.unsent.${userId}`;
    this.#onError = onError;
  }

  all(): readonly Unsent[] {
    try {
      const kept: unknown = JSON.parse(this.#storage.getItem(this.#key) ?? '[]');
      return Array.isArray(kept) ? (kept as Unsent[]) : [];
    } catch {
      return [];
    }
  }

  add(event: Unsent): void {
    const kept = this.all();
    if (kept.length < maxKept && !kept.some(({ requestId }) => requestId === event.requestId))
      this.#write([...kept, event]);
  }

  remove(requestId: string): void {
    const kept = this.all();
    const left = kept.filter((event) => event.requestId !== requestId);
    if (left.length < kept.length) this.#write(left);
  }

  #write(events: readonly Unsent[]): void {
    const text = JSON.stringify(events);
    try {
      if (events.length === 0) this.#storage.removeItem(this.#key);
      else if (text.length <= maxKeptChars) this.#storage.setItem(this.#key, text);
    } catch (thrown) {
      // Full, or forbidden: the page still has it.
      this.#onError(thrown);
    }
  }
}
