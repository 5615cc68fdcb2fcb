import { once, type EventEmitter } from 'node:events';

const defaultDeadlineMs = 20_000;

/** The promise, or an error that says what was awaited. Every wait of a test ends. */
export async function within<T>(promise: Promise<T>, what: string, deadlineMs = defaultDeadlineMs): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`waited ${deadlineMs} ms in vain for ${what}`)), deadlineMs);
  // A wait that lost a race must not hold up the end of the run.
  timer.unref();
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The first argument of the emitter's next such event. */
export async function nextEvent<T>(emitter: EventEmitter, event: string, deadlineMs = defaultDeadlineMs): Promise<T> {
  const [first] = (await within(once(emitter, event), `the event "${event}"`, deadlineMs)) as [T];
  return first;
}

interface Waiter<T> {
  readonly matches: (item: T) => boolean;
  readonly resolve: (item: T) => void;
}

/** Collects what arrives (notifications, log lines) and lets a test await the item it needs, also one that is here already. */
export class Collected<T> {
  readonly items: T[] = [];
  readonly #waiting = new Set<Waiter<T>>();

  readonly add = (item: T): void => {
    this.items.push(item);
    for (const waiter of this.#waiting) {
      if (!waiter.matches(item)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve(item);
    }
  };

  first(matches: (item: T) => boolean, what: string, deadlineMs?: number): Promise<T> {
    const here = this.items.find((item) => matches(item));
    if (here !== undefined) return Promise.resolve(here);
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#waiting.add({ matches, resolve });
    return within(promise, what, deadlineMs);
  }

  /** Resolves when so many have arrived in all. */
  async count(total: number, what: string, deadlineMs?: number): Promise<T[]> {
    if (this.items.length < total) await this.first(() => this.items.length >= total, `${total} ${what}`, deadlineMs);
    return this.items.slice(0, total);
  }
}

/**
 * For a state that nobody announces (a row in the database): asks again at short intervals. Where there is a signal, await that.
 */
export async function eventually<T>(
  ask: () => Promise<T | undefined>,
  what: string,
  deadlineMs = defaultDeadlineMs,
): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
