import type { Handler } from './handler.js';

/** The handlers of this build, by event type. */
export class Handlers<Services> {
  readonly #byType: ReadonlyMap<string, Handler<Services>>;

  /** @throws TypeError where two handlers react to one event type: a job carries its event's id, so there can be one. */
  constructor(handlers: readonly Handler<Services>[]) {
    const byType = new Map<string, Handler<Services>>();
    for (const handler of handlers) {
      if (byType.has(handler.on.type)) throw new TypeError(`two handlers react to "${handler.on.type}"`);
      byType.set(handler.on.type, handler);
    }
    this.#byType = byType;
  }

  get(type: string): Handler<Services> | undefined {
    return this.#byType.get(type);
  }

  get types(): string[] {
    return [...this.#byType.keys()].toSorted();
  }
}
