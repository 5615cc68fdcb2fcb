import type { Queue } from 'bullmq';
import type { Ticket } from './ticket.js';

/** What becomes of a queued job after an attempt at it. */
export type Disposal =
  /** It is over, or is not this generation's any more: the queue may forget it. */
  | { readonly kind: 'done'; readonly result?: unknown }
  /** It ended as a dead letter: shown among the failed. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** It comes back at this time (milliseconds since the epoch). Never counted as a failure: Postgres counts. */
  | { readonly kind: 'later'; readonly runAt: number };

/** One job taken from a queue. `log` writes to its Logs tab in Bull Board, `progress` to its bar; both are best effort. */
export interface Taken {
  readonly jobId: string;
  readonly generation: number;
  /** Aborted when the queue's lock on the job is lost: somebody else may run it now. */
  readonly signal: AbortSignal;
  log(line: string): void;
  progress(percent: number): void;
}

export interface Consumer {
  /** Jobs taken so far. */
  readonly fetched: number;
  /** Of those, jobs that are not disposed of yet. */
  readonly inHand: number;
  /** Takes no more jobs; resolves when the jobs in hand are disposed of. */
  close(): Promise<void>;
  /** Lets go without waiting. */
  abandon(): Promise<void>;
}

/** How full a queue is: tickets that wait, are delayed or in hand, and how many of those that wait are of high priority. */
export interface Occupancy {
  readonly tickets: number;
  readonly high: number;
}

/** The seam between Synap and BullMQ; one implementation on Redis, one on Postgres (single node). */
export interface QueueBackend {
  readonly mode: 'redis' | 'postgres';
  /** Adds tickets to a queue. On any error the outcome of all is unknown; adding them again is harmless. */
  enqueue(queue: string, tickets: readonly Ticket[]): Promise<void>;
  consume(queue: string, concurrency: number, dispose: (taken: Taken) => Promise<Disposal>): Consumer;
  /** Which of these ticket ids the queue does not know as waiting, delayed or active; asked at once for all. */
  missing(queue: string, ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** The ids of the tickets that are given out and not disposed of; asked at once for all queues. */
  active(queues: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Asked at once for all queues. */
  occupancy(queues: readonly string[]): Promise<ReadonlyMap<string, Occupancy>>;
  /** Names the life that each queue's store is in: it changes when the store may have forgotten what was queued. */
  generations(queues: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Begins a new one, told from all that were, and names it. */
  beginGeneration(queue: string): Promise<string>;
  /** The first ids that wait with this priority, and only where a more urgent one waits before them. */
  overtaken(queue: string, priority: number, limit: number): Promise<readonly string[]>;
  /** Of a ticket that waits, or will when its delay is over; behind those that have the priority already. One that is gone is no error. */
  changePriority(queue: string, id: string, priority: number): Promise<void>;
  /** Deletes what is left of tickets that no list has any more; adding them again would be ignored. @returns how many. */
  removeOrphans(queue: string): Promise<number>;
  /** Whether a worker with room would get a job now: some wait, and the queue is neither paused, rate limited nor at its bound. */
  hasWork(queue: string): Promise<boolean>;
  /** BullMQ's own object, for Bull Board and metrics. */
  queue(name: string): Queue;
  /** Resolves when the store answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
