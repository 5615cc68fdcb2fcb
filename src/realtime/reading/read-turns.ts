import type { Clock } from '../../platform/clock.js';

export interface ReadTurnsOptions {
  readonly clock: Clock;
  /** Whether what was read already waits unsent beyond its bound: then nothing more is read for now. */
  readonly isFull: () => boolean;
}

/** Reads of one socket that may be on their way at once. */
const atOnce = 4;
/** How often it is asked whether there is room again. */
const fullMs = 50;

/** The reads of one socket, in the order in which they were asked for: so many at once, and no faster than its client takes what was read. */
export class ReadTurns {
  readonly #options: ReadTurnsOptions;
  readonly #waiting: ((isTurn: boolean) => void)[] = [];
  #running = 0;
  #isPaused = false;
  #isClosed = false;
  #cancel: () => void = () => undefined;

  constructor(options: ReadTurnsOptions) {
    this.#options = options;
  }

  /** Nobody reads or waits to: another in its place would not be told from it. */
  get isIdle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  /** @returns undefined where the socket has ended before its turn. */
  async take<T>(read: () => Promise<T>): Promise<T | undefined> {
    if (this.#isClosed) return undefined;
    const isTurn = await new Promise<boolean>((resolve) => {
      this.#waiting.push(resolve);
      this.#fill();
    });
    if (!isTurn) return undefined;
    try {
      return await read();
    } finally {
      this.#running--;
      // What was read is written in the turns of this promise's listeners.
      setImmediate(() => this.#fill());
    }
  }

  /** What waits is let go, unread. */
  close(): void {
    this.#isClosed = true;
    this.#cancel();
    for (const resolve of this.#waiting.splice(0)) resolve(false);
  }

  #fill(): void {
    while (this.#running < atOnce && this.#waiting.length > 0 && !this.#isPaused) {
      if (this.#options.isFull()) return this.#pause();
      this.#running++;
      this.#waiting.shift()?.(true);
    }
  }

  #pause(): void {
    this.#isPaused = true;
    this.#cancel = this.#options.clock.after(fullMs, () => {
      this.#isPaused = false;
      this.#fill();
    });
  }
}
