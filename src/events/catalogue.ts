import type { EventType } from './definition.js';

/** The event types this build knows, and which of them have a handler (and so a queue). */
export class EventCatalogue {
  readonly #types = new Map<string, EventType>();
  readonly #handled: ReadonlySet<string>;

  /** @throws TypeError where two definitions share a name, or a handler's event is not defined. */
  constructor(types: readonly EventType[], handled: readonly EventType[]) {
    for (const definition of types) {
      if (this.#types.has(definition.type)) throw new TypeError(`event type "${definition.type}" is defined twice`);
      this.#types.set(definition.type, definition);
    }
    for (const { type } of handled) {
      if (!this.#types.has(type)) throw new TypeError(`"${type}" has a handler but is in no feature's events`);
    }
    this.#handled = new Set(handled.map(({ type }) => type));
  }

  get(type: string): EventType | undefined {
    return this.#types.get(type);
  }

  hasHandler(type: string): boolean {
    return this.#handled.has(type);
  }

  /** The names of all queues. */
  get queues(): string[] {
    return [...this.#handled].toSorted();
  }

  /** The types that clients may send. */
  get accepted(): string[] {
    return [...this.#types.values()]
      .filter(({ origin }) => origin === 'client')
      .map(({ type }) => type)
      .toSorted();
  }
}
