import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { runStatement, type Statement } from '../platform/database.js';
import type { Leadership } from '../platform/leader.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';
import { agedNumber, agedPriority, priorities } from '../queues/priorities.js';
import { findTicket } from '../queues/ticket.js';

export interface AgingOptions {
  readonly pool: pg.Pool;
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leader?: Leadership;
}

const everyMs = 5_000;
/** Of each queue and priority in a round; they leave the front of their priority, so the next round sees the next ones. */
const perRound = 500;
/** Aged tickets of a queue that become high in a round: they run whatever high there is, and never stand before it by the thousand. */
const highPerRound = 20;
/** Where so many of high priority wait, the queue is slow or flooded, and one a round is enough. */
const manyHigh = 100;

const readWaits: Statement = {
  name: 'jobs-waits',
  text: `SELECT id, (EXTRACT(epoch FROM now() - "runAt") * 1000)::float8 AS "waitedMs" FROM jobs WHERE id = ANY($1)`,
};

/**
 * What waits in a queue behind more urgent jobs gets more urgent with its age, as it would in the outbox; and of what is aged
 * and still overtaken, a few at a time go among the high ones, so that nothing starves. It begins with what the
 * queue has (bounded by its window) and asks Postgres for the age of those alone: the other way round it would have to find them
 * among all unfinished jobs.
 */
export class Aging {
  readonly #options: AgingOptions;
  readonly #periodic: Periodic;

  constructor(options: AgingOptions) {
    this.#options = options;
    const { clock, logger, leader } = options;
    this.#periodic = new Periodic({
      name: 'aging',
      everyMs,
      failure: 'what waits could not be looked at',
      run: () => this.runOnce(),
      ...{ clock, logger, leader },
    });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  async runOnce(): Promise<void> {
    const { backend, queues } = this.#options;
    const occupancy = await backend.occupancy(queues);
    for (const queue of queues) {
      for (const priority of [priorities.low, priorities.normal]) {
        const ids = await backend.overtaken(queue, priority, perRound);
        if (ids.length > 0) await this.#raise(queue, priority, ids);
      }
      const isCrowded = (occupancy.get(queue)?.high ?? 0) > manyHigh;
      for (const id of await backend.overtaken(queue, agedNumber, isCrowded ? 1 : highPerRound))
        await backend.changePriority(queue, id, priorities.high);
    }
  }

  async #raise(queue: string, priority: number, ids: readonly string[]): Promise<void> {
    const { pool, backend } = this.#options;
    const tickets = new Map(ids.flatMap((id) => toEntry(id)));
    const waits = await runStatement<{ id: string; waitedMs: number }>(pool, readWaits, [[...tickets.keys()]]);
    const waitedMs = new Map(waits.map((row) => [row.id, row.waitedMs]));
    // In the order in which they wait, which they keep.
    for (const [jobId, id] of tickets) {
      const aged = agedPriority(priority, waitedMs.get(jobId) ?? 0);
      if (aged !== priority) await backend.changePriority(queue, id, aged);
    }
  }
}

/** Nothing for what somebody put into the queue by other means. */
function toEntry(id: string): [string, string][] {
  const found = findTicket(id);
  return found === undefined ? [] : [[found.jobId, id]];
}
