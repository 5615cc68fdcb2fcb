import type { ClientStorage } from './environment.js';
import { SynapClientError } from './errors.js';
import { eventIdOf } from './event-id.js';
import type { OutgoingEvent } from './types.js';

export type Unsent = OutgoingEvent & { readonly requestId: string };

/** One user's unsent events, over a reload. Several tabs share the list, so each changes only its own entries in it. */
export class KeptEvents {
  readonly #storage: ClientStorage;
  readonly #userId: string;
  readonly #onError: (thrown: unknown) => void;

  constructor(storage: ClientStorage, userId: string, onError: (thrown: unknown) => void) {
    this.#storage = storage;
    this.#userId = userId;
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

  has(event: Unsent): boolean {
    return this.all().some(this.#isSame(event));
  }

  add(event: Unsent): void {
    if (!this.has(event)) this.#write([...this.all(), event]);
  }

  remove(event: Unsent): void {
    if (!this.has(event)) return;
    const isSame = this.#isSame(event);
    this.#write(this.all().filter((kept) => !isSame(kept)));
  }

  get #key(): string {
    return `synap.unsent.${this.#userId}`;
  }

  /** A request may have several events. */
  #isSame(event: Unsent): (other: Unsent) => boolean {
    const id = eventIdOf(this.#userId, event);
    return (other) => other.requestId === event.requestId && eventIdOf(this.#userId, other) === id;
  }

  #write(events: readonly Unsent[]): void {
    try {
      if (events.length === 0) this.#storage.removeItem(this.#key);
      else this.#storage.setItem(this.#key, JSON.stringify(events));
    } catch (thrown) {
      this.#onError(new SynapClientError('not_kept', `What is unsent would not survive a reload: ${String(thrown)}`));
    }
  }
}
