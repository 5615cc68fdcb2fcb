import type { Clock } from '../platform/clock.js';
import type { Metrics } from '../platform/metrics.js';
import type { Disposal, Taken } from '../queues/backend.js';
import type { Runnable } from '../queues/ticket.js';
import type { Publisher } from '../realtime/publishing/publisher.js';
import type { Assignment, FromIsolated, ToIsolated } from './isolation-messages.js';
import { AttemptAborted } from './outcome.js';

const aliveEveryMs = 1_000;

/**
 * The child's side of isolation.ts: its queue, its sockets and its shutdown, all of them at the parent. Where the parent has
 * died, what is said is dropped: it is in Postgres, and the sweeper and the dispatcher tell it.
 */
export class IsolatedLink {
  readonly assignment: Promise<Assignment>;
  readonly #shutdown = new AbortController();
  readonly #lock = new AbortController();

  constructor(clock: Clock) {
    const assigned = Promise.withResolvers<Assignment>();
    this.assignment = assigned.promise;
    process.on('message', (message: ToIsolated) => {
      if (message.kind === 'job') assigned.resolve(message);
      else this.#abort(message);
    });
    // Before it got its job there is nothing to finish; afterwards an attempt ends by itself, within its timeout.
    process.once('disconnect', () => assigned.reject(new Error('the worker that started this process is gone')));
    const stayAlive = (): void => {
      this.say({ kind: 'alive' });
      clock.after(aliveEveryMs, stayAlive);
    };
    stayAlive();
  }

  get shutdown(): AbortSignal {
    return this.#shutdown.signal;
  }

  get taken(): Pick<Taken, 'signal' | 'log' | 'progress'> {
    return {
      signal: this.#lock.signal,
      log: (line) => this.say({ kind: 'log', line }),
      progress: (percent) => this.say({ kind: 'progress', percent }),
    };
  }

  readonly publisher: Publisher = {
    publish: (entries) => {
      if (entries.length > 0) this.say({ kind: 'publish', entries });
    },
    ephemeral: (room, frame) => this.say({ kind: 'ephemeral', room, frame }),
  };

  readonly onRunnable = (runnable: readonly Runnable[]): void => {
    if (runnable.length > 0) this.say({ kind: 'runnable', runnable });
  };

  say(message: FromIsolated): void {
    if (process.connected) process.send?.(message, undefined, {}, () => undefined);
  }

  /** Resolves when the parent's pipe has it, or there is no parent. */
  answer(disposal: Disposal): Promise<void> {
    const message: FromIsolated = { kind: 'disposal', disposal };
    return new Promise((resolve) => {
      if (process.connected) process.send?.(message, undefined, {}, () => resolve());
      else resolve();
    });
  }

  /** Counters and histograms that are scraped at the parent. */
  relayMetrics(metrics: Metrics): Metrics {
    const relayed = Object.keys(metrics).map((name) => {
      const tell =
        (method: 'inc' | 'observe') =>
        (...given: unknown[]) =>
          this.say({ kind: 'metric', name, method, given });
      return [name, { inc: tell('inc'), observe: tell('observe') }] as const;
    });
    return { ...metrics, ...Object.fromEntries(relayed) };
  }

  /** Only where nobody else decides. */
  stopIfOrphaned(): void {
    if (!process.connected) this.#shutdown.abort();
  }

  #abort({ why, message }: Extract<ToIsolated, { kind: 'abort' }>): void {
    const reason = new AttemptAborted(why, message);
    if (why === 'shutdown') this.#shutdown.abort(reason);
    else this.#lock.abort(reason);
  }
}
