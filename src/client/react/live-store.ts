import type { Observable } from '../types.js';

/** @returns what ends it */
type Begin<T> = (set: (value: T) => void) => () => void;

/**
 * A value that is kept up while somebody listens. It ends a moment after the last listener has left, because React's strict mode
 * lets go and takes hold again at once: that must not cost a connection or a subscription.
 */
export class LiveStore<T> implements Observable<T> {
  readonly #begin: Begin<T>;
  readonly #listeners = new Set<() => void>();
  #value: T;
  #end: (() => void) | undefined;
  #ending: ReturnType<typeof setTimeout> | undefined;

  constructor(initial: T, begin: Begin<T>) {
    this.#value = initial;
    this.#begin = begin;
  }

  readonly get = (): T => this.#value;

  readonly subscribe = (listener: () => void): (() => void) => {
    // A function of its own: the same listener may come twice.
    const own = (): void => listener();
    this.#listeners.add(own);
    clearTimeout(this.#ending);
    this.#end ??= this.#begin((value) => this.#set(value));
    return () => {
      this.#listeners.delete(own);
      clearTimeout(this.#ending);
      if (this.#listeners.size === 0) this.#ending = setTimeout(() => this.#finish());
    };
  };

  #set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of this.#listeners) listener();
  }

  #finish(): void {
    const end = this.#end;
    this.#end = undefined;
    end?.();
  }
}
