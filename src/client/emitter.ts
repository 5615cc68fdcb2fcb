import type { Observable } from './types.js';

/** Listeners of one kind. One that throws does not keep the others, or what comes next, from being heard. */
export class Listeners<Args extends readonly unknown[]> {
  readonly #listeners = new Set<(...args: Args) => void>();
  readonly #onThrown: (thrown: unknown) => void;

  constructor(onThrown: (thrown: unknown) => void) {
    this.#onThrown = onThrown;
  }

  get size(): number {
    return this.#listeners.size;
  }

  /** @returns what ends it */
  add(listener: (...args: Args) => void): () => void {
    // A function of its own, so that one that is given twice is called, and removed, by itself.
    const own = (...args: Args) => listener(...args);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  call(...args: Args): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(...args);
      } catch (thrown) {
        this.#onThrown(thrown);
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}

/** A value that tells its listeners when it has changed. */
export class Value<T> implements Observable<T> {
  #value: T;
  readonly #listeners: Listeners<[]>;

  constructor(value: T, onThrown: (thrown: unknown) => void) {
    this.#value = value;
    this.#listeners = new Listeners(onThrown);
  }

  readonly get = (): T => this.#value;
  readonly subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);

  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.#listeners.call();
  }
}
