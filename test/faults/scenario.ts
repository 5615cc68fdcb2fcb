import type { Load } from './client/plan.ts';
import type { Stack } from './stack/stack.ts';

/** What a scenario's `act` has at hand. */
export interface Stage {
  readonly stack: Stack;
  /** Seeded. */
  readonly random: () => number;
  /** Begins every user id and request id of this run of the scenario. */
  readonly prefix: string;
  /** Resolves so long after the load began. */
  at(ms: number): Promise<void>;
  /** Resolves when the client has nothing more to send, and an answer to all that it sent. */
  answered(): Promise<void>;
  /** Says that the fault is over; what is due must start soon from here on. Without it, it is over when `act` is. */
  healed(): void;
  /** What the scenario itself saw that must not be. */
  find(invariant: Invariant, example: string): void;
  /** A line for the table's details. */
  note(text: string): void;
}

/** Where a scenario's own bounds differ from the usual ones. */
export interface Bounds {
  /** The longest that one call of the client may take. */
  readonly callMs?: number;
  /** From the end of the fault (or from its own time, where that is later) until a job's first start. */
  readonly startMs?: number;
  /** From the end of a job (or of the fault) until its user has heard of it. */
  readonly toldMs?: number;
  /** From the end of the fault until everything has ended and is heard. */
  readonly drainMs?: number;
  /** The most resident memory that a process of a role may have had. */
  readonly memoryMb?: number;
}

/** A ticket that was given out and that nobody claims, because its answer or its worker was lost, comes back after three looks, one a second. */
export const afterLostTicketMs = 5_000;

/** What a dead worker had claimed is taken from it when its heartbeat is 10 s old. */
export const afterWorkerDeathMs = 14_000;

/** One fault: a load, what is done in the middle of it, and what may differ. All else that is checked is the same for all. */
export interface Scenario {
  readonly name: string;
  readonly load: Load;
  act?(stage: Stage): Promise<void>;
  readonly bounds?: Bounds;
  /** No fault at all, or none that shows: then no job may be claimed twice, and every frame must come once and in order. */
  readonly isFaultless?: boolean;
  /** A stack of its own: one that lies on a small disk. */
  readonly disk?: 'small';
}

export const invariants = [
  'lost',
  'unexpected',
  'accepted-twice',
  'effects-missing',
  'effects-twice',
  'sink-missing',
  'sink-key-changed',
  'no-end',
  'two-ends',
  'order',
  'dead-letters',
  'notification-gap',
  'notification-repeat',
  'told-late',
  'start-late',
  'claim-without-fault',
  'ticket-twice',
  'committed-late',
  'redis-bound',
  'memory',
  'shed-late',
  'tick-lost',
  'tick-twice',
  'pruned',
  'hang',
  'refused',
  'undrained',
  'fault-not-reached',
] as const;
export type Invariant = (typeof invariants)[number];

export interface Violation {
  readonly invariant: Invariant;
  readonly count: number;
  /** The first of them, to look at. */
  readonly example: string;
}
