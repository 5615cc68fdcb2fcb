import type { Page, PageRequest } from '../events/queries.js';
import type { Json } from '../platform/text.js';
import type { DeadLetterFilter } from './dead-letter-filter.js';

export type DeadLetterState = 'open' | 'replayed' | 'discarded';

/** What is kept of an error (src/execution/outcome.ts). Rows of older versions may lack some of it. */
export interface RecordedError {
  readonly code?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly stack?: string;
}

/**
 * A dead letter in a listing; the error without its stack. Its id is that of its job, which is that of its event. A closed one outlives
 * both: what was read of them is null then.
 */
export interface DeadLetterView {
  readonly jobId: string;
  readonly type: string;
  readonly userId: string;
  readonly state: DeadLetterState;
  readonly generation: number;
  readonly attempts: number;
  /** How often it was replayed. */
  readonly replays: number;
  readonly fingerprint: string;
  readonly error: RecordedError;
  readonly diedAt: Date;
  /** When it was last replayed or discarded. */
  readonly resolvedAt: Date | null;
  /** This and what follows: of its event. */
  readonly acceptedAt: Date | null;
  readonly aggregateId: string | null;
  readonly requestId: string | null;
  readonly correlationId: string | null;
}

export interface FailedAttempt {
  readonly attempt: number;
  readonly failedAt: Date;
  readonly workerId: string | null;
  readonly error: RecordedError;
}

/** What operators did to it, as JobAdministration writes it. */
export interface HistoryEntry {
  readonly at: string;
  readonly action: string;
  readonly actor: string;
  readonly mode?: string;
  readonly reason?: string;
  readonly generation?: number;
  readonly operation?: string;
}

/** Everything about one. */
export interface DeadLetterDetail extends DeadLetterView {
  /** The event's data, which never changes; null: retention has taken the event. */
  readonly payload: Json;
  /** What the next attempt gets in its place; null: nothing. */
  readonly correction: Json;
  /** The newest first, 100 at most; they and the steps go with the job. */
  readonly failedAttempts: readonly FailedAttempt[];
  readonly steps: readonly { readonly name: string; readonly attempt: number; readonly at: Date }[];
  readonly history: readonly HistoryEntry[];
  /** null: retention has taken it, and there is nothing to run again. */
  readonly job: LetterJob | null;
}

export interface LetterJob {
  readonly state: string;
  readonly generation: number;
  readonly failures: number;
  readonly crashes: number;
  readonly priority: number;
  readonly runAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

/** Dead letters of one type that died of the same. */
export interface DeadLetterGroup {
  readonly fingerprint: string;
  readonly type: string;
  readonly count: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
  /** Of the newest. */
  readonly code: string | null;
  readonly message: string | null;
  readonly jobId: string;
}

export interface DeadLetterSelection extends DeadLetterFilter {
  readonly state: DeadLetterState | 'all';
}

export interface DeadLetterQueries {
  /** Newest first. */
  list(selection: DeadLetterSelection, page: PageRequest): Promise<Page<DeadLetterView>>;
  /** Largest first. */
  groups(selection: DeadLetterSelection, page: PageRequest): Promise<Page<DeadLetterGroup>>;
  find(jobId: string): Promise<DeadLetterDetail | undefined>;
}
