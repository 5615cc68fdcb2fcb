import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { Occupancy, QueueBackend } from '../queues/backend.js';
import { priorities } from '../queues/priorities.js';
import type { Outbox } from './outbox.js';

/** How many more tickets a queue takes: of high priority, of the others, and of both together. */
export interface Credits {
  readonly high: number;
  readonly other: number;
  readonly all: number;
}

export interface QueueWindowOptions {
  readonly backend: QueueBackend;
  readonly outbox: Outbox;
  readonly queues: readonly string[];
  /** Tickets of one queue that lie in its store at a time. */
  readonly size: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Known {
  credits: Credits;
  /** More rows are due in the outbox than the next round can take: what is new has to wait behind them. */
  hasBacklog: boolean;
  /** So must what is new and of high priority. */
  hasHighBacklog: boolean;
  measuredAt: number;
}

/** Parts of the window that only high priority gets, and that it never gets: neither locks the other out. */
const reserves = { high: 0.1, other: 0.2 } as const;
const freshForMs = 500;
/** Due rows of a queue are counted up to this; one round of a dispatcher takes no more. */
export const roundSize = 1_000;

/** A pure function of the window's size and what lies in it. */
export function creditsOf(size: number, { tickets, high }: Occupancy): Credits {
  const all = Math.max(0, size - tickets);
  const within = (limit: number, used: number) => Math.max(0, Math.min(all, Math.floor(limit) - used));
  return {
    high: within(size * (1 - reserves.other), high),
    other: within(size * (1 - reserves.high), tickets - high),
    all,
  };
}

/** Whether so many due rows, of whatever priority, can go into their queue in one round. */
export const doFit = (rows: number, { other }: Credits): boolean => rows <= Math.min(other, roundSize);

/**
 * Keeps the queues short: beyond its window a queue's jobs wait in Postgres, where they can be released in a fair order, and where a
 * million of them cost a Redis nothing. Each process counts its own credits down between two looks, so the window is
 * exceeded by what all of them take in half a second at most.
 */
export class QueueWindow {
  readonly #options: QueueWindowOptions;
  readonly #known = new Map<string, Known>();
  #measuring: Promise<void> | undefined;

  constructor(options: QueueWindowOptions) {
    this.#options = options;
  }

  /**
   * Whether the fast path may put these into their queue, and so many of them; the rest is the dispatcher's. A backlog is waited
   * behind by what is of its priority or lower, so high priority goes past one that has none of it. What is known is
   * used at once and renewed behind it. Only where it says no and is old, the answer waits for a look.
   * @throws where that look finds the store away
   */
  async admit<T extends { readonly priority: number }>(queue: string, tickets: readonly T[]): Promise<T[]> {
    const known = this.#known.get(queue);
    const isOld = known === undefined || this.#options.clock.now() - known.measuredAt >= freshForMs;
    if (known === undefined || (isOld && isClosed(known, tickets))) await this.#measureAll();
    else if (isOld) this.#measureBehind();
    const now = this.#known.get(queue);
    if (now === undefined) return [];
    return tickets.filter(({ priority }) => !mustWait(now, priority) && spend(now, priority));
  }

  /** Fresh credits, for a dispatcher that has found rows due in these queues. */
  async measure(due: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, Credits>> {
    const occupancy = await this.#options.backend.occupancy([...due.keys()]);
    await this.#learn(occupancy, due);
    return new Map([...occupancy].map(([queue, how]) => [queue, creditsOf(this.#options.size, how)]));
  }

  #measureAll(): Promise<void> {
    const { backend, outbox, queues } = this.#options;
    this.#measuring ??= Promise.all([backend.occupancy(queues), outbox.due(queues, roundSize + 1)])
      .then(([occupancy, due]) => this.#learn(occupancy, due))
      .finally(() => {
        this.#measuring = undefined;
      });
    return this.#measuring;
  }

  #measureBehind(): void {
    this.#measureAll().catch((thrown: unknown) =>
      this.#options.logger.debug({ err: toError(thrown) }, 'how full the queues are is not known'),
    );
  }

  /** Whether a backlog has high priority is asked only where there is one. */
  async #learn(occupancy: ReadonlyMap<string, Occupancy>, due: ReadonlyMap<string, number>): Promise<void> {
    const measuredAt = this.#options.clock.now();
    const looks = Array.from(occupancy, ([queue, how]) => {
      const credits = creditsOf(this.#options.size, how);
      return { queue, credits, hasBacklog: !doFit(due.get(queue) ?? 0, credits) };
    });
    // At once, as what is spent from now on is to be counted. Until Postgres has said so, high priority does not go past a backlog.
    for (const { queue, ...look } of looks)
      this.#known.set(queue, { ...look, hasHighBacklog: look.hasBacklog, measuredAt });
    const behind = looks.filter(({ hasBacklog }) => hasBacklog).map(({ queue }) => queue);
    if (behind.length === 0) return;
    const high = await this.#options.outbox.highDue(behind);
    for (const queue of behind) {
      const known = this.#known.get(queue);
      if (known?.measuredAt === measuredAt) known.hasHighBacklog = high.has(queue);
    }
  }
}

const mustWait = ({ hasBacklog, hasHighBacklog }: Known, priority: number): boolean =>
  priority <= priorities.high ? hasHighBacklog : hasBacklog;

const isClosed = (known: Known, tickets: readonly { readonly priority: number }[]): boolean =>
  known.credits.high + known.credits.other === 0 || tickets.some(({ priority }) => mustWait(known, priority));

/** Takes one credit. @returns false where there is none. */
function spend(known: Known, priority: number): boolean {
  const kind = priority <= priorities.high ? 'high' : 'other';
  const { credits } = known;
  if (credits[kind] === 0 || credits.all === 0) return false;
  known.credits = { ...credits, [kind]: credits[kind] - 1, all: credits.all - 1 };
  return true;
}
