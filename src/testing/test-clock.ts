import { systemClock, type Clock } from '../platform/clock.js';

interface Timer {
  readonly dueAt: number;
  readonly fire: () => void;
  cancel: () => void;
}

/** The system's time, which a test can put forward: what was to happen in between happens at once, in its order. */
export class TestClock implements Clock {
  readonly #timers = new Set<Timer>();
  #advancedMs = 0;

  /** How far it is ahead of the system's time. */
  get advancedMs(): number {
    return this.#advancedMs;
  }

  now(): number {
    return systemClock.now() + this.#advancedMs;
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer: Timer = { dueAt: this.now() + delayMs, fire: fn, cancel: () => undefined };
    this.#timers.add(timer);
    this.#arm(timer);
    return () => this.#remove(timer);
  }

  /**
   * Timeouts that run out fire before this returns; retries and delayed jobs are due at the next attempt. Postgres keeps its own
   * time: their `runAt` is moved back instead, so the rows show it by so much earlier.
   */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError('time goes forward only');
    this.#advancedMs += ms;
    for (let next = this.#nextDue(); next !== undefined; next = this.#nextDue()) this.#fire(next);
    for (const timer of this.#timers) this.#arm(timer);
  }

  #nextDue(): Timer | undefined {
    const now = this.now();
    const due = [...this.#timers].filter(({ dueAt }) => dueAt <= now);
    return due.toSorted((a, b) => a.dueAt - b.dueAt)[0];
  }

  #arm(timer: Timer): void {
    timer.cancel();
    timer.cancel = systemClock.after(Math.max(0, timer.dueAt - this.now()), () => this.#fire(timer));
  }

  #fire(timer: Timer): void {
    this.#remove(timer);
    timer.fire();
  }

  #remove(timer: Timer): void {
    timer.cancel();
    this.#timers.delete(timer);
  }
}
