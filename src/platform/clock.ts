/** Time and timers, injected so that tests decide what time it is. Leases use the database's clock, never this one. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `fn` once after `delayMs`; the returned function cancels it. Timers never keep a process alive. */
  after(delayMs: number, fn: () => void): () => void;
}

/** setTimeout keeps 32 bits of its delay: what is longer would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, fn) {
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, longestTimerMs);
      timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : fn()), stepMs);
      timer.unref();
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  },
};

/** A number in [0, 1), as Math.random gives it. */
export type Random = () => number;
