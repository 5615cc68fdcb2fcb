import type { EventType } from './definition.js';

/**
 * One job after the other per aggregate (and user), in the order of acceptance. `onDead`: whether a dead job holds those behind
 * it until somebody replays or discards it, or they go on without it.
 */
export interface Ordering {
  readonly onDead: 'block' | 'skip';
}

/** What is to be known of a handler where events become jobs. */
export interface Handled {
  readonly on: EventType;
  readonly ordered?: Ordering;
}

/** The event types this build knows, and which of them have a handler (and so a queue). */
export class EventCatalogue {
  readonly #types = new Map<string, EventType>();
  readonly #handled: ReadonlyMap<string, Handled>;

  /** @throws TypeError where two definitions share a name, or a handler's event is not defined. */
  constructor(types: readonly EventType[], handled: readonly Handled[]) {
    for (const definition of types) {
      if (this.#types.has(definition.type)) throw new TypeError(`event type "${definition.type}" is defined twice`);
      this.#types.set(definition.type, definition);
    }
    for (const {
      on: { type },
    } of handled) {
      if (!this.#types.has(type)) throw new TypeError(`"${type}" has a handler but is in no feature's events`);
    }
    this.#handled = new Map(handled.map((handler) => [handler.on.type, handler]));
  }

  get(type: string): EventType | undefined {
    return this.#types.get(type);
  }

  hasHandler(type: string): boolean {
    return this.#handled.has(type);
  }

  /** The names of all queues. */
  get queues(): string[] {
    return [...this.#handled.keys()].toSorted();
  }

  /** The line in which the job of such an event waits for its turn; null where it need not wait for others. */
  laneOf(type: string, userId: string, aggregateId: string): string | null {
    return this.#handled.get(type)?.ordered === undefined ? null : JSON.stringify([type, userId, aggregateId]);
  }

  /** The queues whose lanes go on without a dead job. */
  get skipping(): string[] {
    return this.queues.filter((queue) => this.#handled.get(queue)?.ordered?.onDead === 'skip');
  }

  /** The types that clients may send. */
  get accepted(): string[] {
    return [...this.#types.values()]
      .filter(({ origin }) => origin === 'client')
      .map(({ type }) => type)
      .toSorted();
  }
}
