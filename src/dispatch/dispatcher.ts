import type { Clock } from '../platform/clock.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';
import type { Runnable } from '../queues/ticket.js';
import type { Outbox } from './outbox.js';

export interface DispatcherOptions {
  readonly backend: QueueBackend;
  readonly outbox: Outbox;
  readonly queues: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly everyMs?: number;
}

const perQueue = 250;
/** Longer than an addBulk takes, short enough that a dispatcher's death delays nobody for long. */
const leaseMs = 5_000;

/**
 * Moves outbox rows into queues: what the fast path left behind, delays whose time is near, replays. Several dispatchers
 * share the work by their leases.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #periodic: Periodic;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    const { clock, logger, everyMs = 250 } = options;
    this.#periodic = new Periodic({ name: 'dispatcher', everyMs, run: () => this.runOnce(), clock, logger });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** @returns whether a queue has more due rows than one round takes. */
  async runOnce(): Promise<boolean> {
    const { outbox, queues } = this.#options;
    const due = await outbox.lease(queues, perQueue, leaseMs);
    const byQueue = Map.groupBy(due, ({ queue }) => queue);
    await Promise.all([...byQueue].map(([queue, batch]) => this.#dispatch(queue, batch)));
    return [...byQueue.values()].some((batch) => batch.length === perQueue);
  }

  /** Enqueue first, delete second: dying between the two means a second, harmless add and never a lost job. */
  async #dispatch(queue: string, batch: readonly Runnable[]): Promise<void> {
    const { backend, outbox, metrics } = this.#options;
    reachFaultPoint('dispatcher.leased');
    await backend.enqueue(queue, batch);
    reachFaultPoint('dispatcher.enqueued');
    await outbox.remove(batch);
    metrics.outboxDispatched.inc({ path: 'dispatcher' }, batch.length);
  }
}
