import type { Clock } from './clock.js';
import { toError } from './errors.js';
import { reachFaultPoint } from './fault-points.js';
import type { Logger } from './logger.js';

interface Closer {
  readonly name: string;
  readonly close: () => Promise<void> | void;
}

/**
 * What a process has started, in order; stopping runs the closers in reverse under one absolute deadline. A resource is
 * registered where it is created. `draining` is the first thing that changes: readiness reads it.
 */
export class Lifecycle {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #closers: Closer[] = [];
  #stopping: Promise<boolean> | undefined;
  #draining = false;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  get draining(): boolean {
    return this.#draining;
  }

  onStop(name: string, close: Closer['close']): void {
    this.#closers.push({ name, close });
  }

  /** Idempotent. Resolves true when everything closed in time, false when the deadline cut it short or a closer failed. */
  stop(timeoutMs: number): Promise<boolean> {
    this.#draining = true;
    this.#stopping ??= this.#stop(this.#clock.now() + timeoutMs);
    return this.#stopping;
  }

  async #stop(deadline: number): Promise<boolean> {
    let clean = true;
    reachFaultPoint('close.draining');
    for (const closer of this.#closers.toReversed()) {
      const closed = await this.#closeBefore(deadline, closer);
      clean &&= closed;
    }
    return clean;
  }

  /** A closer that is late is left behind; the ones after it are still asked, or their work would be cut off unsaid. */
  async #closeBefore(deadline: number, closer: Closer): Promise<boolean> {
    const late = Promise.withResolvers<'late'>();
    const cancel = this.#clock.after(Math.max(0, deadline - this.#clock.now()), () => late.resolve('late'));
    try {
      const result = await Promise.race([Promise.resolve(closer.close()).then(() => 'closed' as const), late.promise]);
      if (result === 'late') this.#logger.warn({ part: closer.name }, 'did not stop before the deadline');
      return result === 'closed';
    } catch (thrown) {
      this.#logger.error({ err: toError(thrown), part: closer.name }, 'failed to stop');
      return false;
    } finally {
      cancel();
    }
  }
}
