import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';
import type { Runnable } from '../queues/ticket.js';
import { FairRelease } from './fair-release.js';
import type { Outbox } from './outbox.js';
import { doFit, roundSize, type Credits, type QueueWindow } from './queue-window.js';

export interface DispatcherOptions {
  readonly backend: QueueBackend;
  readonly outbox: Outbox;
  readonly window: QueueWindow;
  readonly queues: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly everyMs?: number;
}

/**
 * Moves outbox rows into queues: what the fast path left behind, delays whose time is near, replays, and the
 * backlog of queues whose window is full. Several dispatchers share the work by their leases.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #periodic: Periodic;
  readonly #fair: FairRelease;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#fair = new FairRelease(options.outbox);
    const { clock, logger, everyMs = 250 } = options;
    this.#periodic = new Periodic({ name: 'dispatcher', everyMs, run: () => this.runOnce(), clock, logger });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Asks how full the queues are only where something is due. @returns whether more could go at once. */
  async runOnce(): Promise<boolean> {
    const { outbox, queues } = this.#options;
    const due = await outbox.due(queues, roundSize + 1);
    if (due.size === 0) return false;
    const credits = await this.#credits(due);
    const leased = await this.#lease(due, credits);
    const byQueue = Map.groupBy(leased, ({ queue }) => queue);
    await Promise.all([...byQueue].map(([queue, batch]) => this.#dispatch(queue, batch)));
    return [...byQueue].some(([queue, batch]) => batch.length < (due.get(queue) ?? 0));
  }

  /** None while the queue store is away: a row that is not leased can be dispatched the moment it is back. */
  async #credits(due: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, Credits>> {
    const { window, logger } = this.#options;
    return window.measure(due).catch((thrown: unknown) => {
      logger.debug({ err: toError(thrown) }, 'the queue store is away; what is due waits');
      return new Map<string, Credits>();
    });
  }

  async #lease(due: ReadonlyMap<string, number>, credits: ReadonlyMap<string, Credits>): Promise<Runnable[]> {
    const { outbox } = this.#options;
    const fitting = new Map<string, number>();
    const leased: Runnable[] = [];
    for (const [queue, rows] of due) {
      const free = credits.get(queue);
      if (free === undefined) continue;
      if (doFit(rows, free)) fitting.set(queue, rows);
      else leased.push(...(await this.#fair.lease(queue, free)));
    }
    if (fitting.size > 0) leased.push(...(await outbox.lease(fitting)));
    return leased;
  }

  /** Enqueue first, delete second: dying between the two means a second, harmless add and never a lost job. */
  async #dispatch(queue: string, batch: readonly Runnable[]): Promise<void> {
    const { backend, outbox, metrics } = this.#options;
    reachFaultPoint('dispatcher.leased');
    try {
      await backend.enqueue(queue, batch);
    } catch (thrown) {
      // Whether it was added is unknown; the next to take them adds the same ids.
      await outbox.release(batch);
      throw thrown;
    }
    reachFaultPoint('dispatcher.enqueued');
    await outbox.remove(batch);
    metrics.outboxDispatched.inc({ path: 'dispatcher' }, batch.length);
  }
}
