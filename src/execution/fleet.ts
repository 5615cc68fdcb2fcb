import type { Clock } from '../platform/clock.js';
import type { Disposal, QueueBackend, Taken } from '../queues/backend.js';
import type { Consumed } from './fetching-watch.js';
import { AttemptAborted } from './outcome.js';

export interface FleetOptions {
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly concurrency: (queue: string) => number;
  readonly execute: (taken: Taken) => Promise<Disposal>;
  readonly clock: Clock;
  /** Aborted when what still runs must be handed back. */
  readonly shutdown: AbortController;
}

/** The consumers of one worker process, one per queue. */
export class Fleet {
  readonly #options: FleetOptions;
  #consumed: readonly Consumed[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  start(): void {
    const { backend, queues, concurrency, execute } = this.#options;
    this.#consumed = queues.map((queue) => ({
      queue,
      concurrency: concurrency(queue),
      consumer: backend.consume(queue, concurrency(queue), execute),
    }));
  }

  get consumed(): readonly Consumed[] {
    return this.#consumed;
  }

  /**
   * Quiet all, then wait for what runs; after `graceMs` the rest is interrupted and handed back, which costs those jobs nothing.
   * Resolves when nothing runs and nothing is taken any more.
   */
  async stop(graceMs: number): Promise<void> {
    const { clock, shutdown } = this.#options;
    const cancel = clock.after(graceMs, () =>
      shutdown.abort(new AttemptAborted('shutdown', 'this worker is shutting down')),
    );
    const closing = Promise.all(this.#consumed.map(({ consumer }) => consumer.close()));
    const abandoned = Promise.withResolvers<void>();
    // close() never returns while the queue store is away; handing back has had its time by then.
    const cancelAbandon = clock.after(graceMs + handBackMs, () => {
      void Promise.allSettled(this.#consumed.map(({ consumer }) => consumer.abandon())).then(() => abandoned.resolve());
    });
    try {
      await Promise.race([closing, abandoned.promise]);
    } finally {
      cancel();
      cancelAbandon();
    }
  }
}

const handBackMs = 3_000;
