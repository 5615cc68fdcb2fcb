import type { Clock } from './clock.js';
import { toError } from './errors.js';
import type { Logger } from './logger.js';

export interface CircuitOptions {
  /** Resolves when Postgres answers, rejects within a moment when it does not. */
  readonly ping: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One miss may be this process' own: after a pause of the event loop a timer fires before the answer that is here is read. */
const missesToOpen = 2;
const askAgainMs = 500;
/** A slow statement is no reason to ask all the time. */
const trustAnswerMs = 1_000;

/**
 * Whether Postgres answers at all. A frozen or half-open server refuses nothing: each caller would wait for its own timeout. So a
 * suspicion (a statement that takes long, a lost connection) is a reason to ask on a connection kept for it, and while the
 * answer is no, callers are refused at once.
 *
 *     closed ── suspect ──▶ asking ── two misses ──▶ open
 *        ▲──── an answer ─────┘◀── asks every 500 ms ──┘
 */
export class Circuit {
  readonly #options: CircuitOptions;
  #isOpen = false;
  #isAsking = false;
  #isStopped = false;
  #answeredAt = -Infinity;
  readonly #listeners: (() => void)[] = [];

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Called when Postgres has stopped answering: whatever waits for it waits in vain. */
  onOpen(listener: () => void): void {
    this.#listeners.push(listener);
  }

  suspect(): void {
    const { now } = this.#options.clock;
    if (this.#isAsking || this.#isStopped || Math.abs(now() - this.#answeredAt) < trustAnswerMs) return;
    this.#isAsking = true;
    void this.#ask(1);
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #ask(nth: number): Promise<void> {
    const { ping, clock, logger } = this.#options;
    try {
      await ping();
      this.#answeredAt = clock.now();
      this.#isAsking = false;
      if (this.#isOpen) logger.info('Postgres answers again');
      this.#isOpen = false;
    } catch (thrown) {
      if (this.#isStopped) return;
      if (nth === missesToOpen) {
        this.#isOpen = true;
        logger.warn({ err: toError(thrown) }, 'Postgres does not answer: calls are refused until it does');
        for (const listener of this.#listeners) listener();
      }
      clock.after(nth < missesToOpen ? 0 : askAgainMs, () => void this.#ask(nth + 1));
    }
  }
}
