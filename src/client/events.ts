import { Listeners } from './emitter.js';
import { toError } from './errors.js';
import type { ClientEvents } from './types.js';

type Registry = { readonly [Event in keyof ClientEvents]: Listeners<Parameters<ClientEvents[Event]>> };

/** The client-wide events. */
export class Events {
  readonly #listeners: Registry;

  constructor() {
    const listeners = () => new Listeners<never>(this.failed);
    this.#listeners = {
      ...{ state: listeners(), notification: listeners(), progress: listeners() },
      ...{ delta: listeners(), pong: listeners(), error: listeners() },
    } as unknown as Registry;
  }

  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void {
    const listeners = this.#listeners[event] as unknown as Listeners<readonly unknown[]>;
    return listeners.add(listener as (...args: readonly unknown[]) => void);
  }

  emit<Event extends keyof ClientEvents>(event: Event, ...args: Parameters<ClientEvents[Event]>): void {
    const listeners = this.#listeners[event] as unknown as Listeners<readonly unknown[]>;
    listeners.call(...args);
  }

  /** A fault goes to the listeners of `error`; one that they have themselves, to whoever looks after the whole page. */
  readonly failed = (thrown: unknown): void => {
    const listeners = this.#listeners.error;
    if (this.#isFailing || listeners.size === 0) return report(thrown);
    this.#isFailing = true;
    listeners.call(toError(thrown));
    this.#isFailing = false;
  };

  #isFailing = false;

  clear(): void {
    for (const listeners of Object.values(this.#listeners)) listeners.clear();
  }
}

function report(thrown: unknown): void {
  const { reportError } = globalThis as { reportError?: (thrown: unknown) => void };
  reportError?.(thrown);
}
