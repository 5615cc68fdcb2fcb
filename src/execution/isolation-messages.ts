import type { Disposal, Taken } from '../queues/backend.js';
import type { Runnable } from '../queues/ticket.js';
import type { Ephemeral } from '../realtime/contract.js';
import type { CommittedEntry } from '../realtime/publishing/publisher.js';
import type { AttemptAborted } from './outcome.js';

/** The argument that makes a program run one job alone instead of its roles. */
export const isolatedArgument = '--isolated-job';

/** What a worker tells the process that it started for one job. */
export type ToIsolated =
  | ({ readonly kind: 'job' } & Assignment)
  | { readonly kind: 'abort'; readonly why: AttemptAborted['why']; readonly message: string };

/** Over the pipe and not in the arguments, which anybody on the machine can read. */
export interface Assignment extends Pick<Taken, 'jobId' | 'generation'> {
  /** Of the child's own row in `workers`; the parent removes it when the child is dead. */
  readonly workerId: string;
  readonly databaseUrl: string;
}

/** What that process lets its worker do, because it has neither queues nor sockets. */
export type FromIsolated =
  | { readonly kind: 'started' }
  | { readonly kind: 'alive' }
  | { readonly kind: 'publish'; readonly entries: readonly CommittedEntry[] }
  | { readonly kind: 'ephemeral'; readonly room: string; readonly frame: Ephemeral }
  | { readonly kind: 'runnable'; readonly runnable: readonly Runnable[] }
  | { readonly kind: 'log'; readonly line: string }
  | { readonly kind: 'progress'; readonly percent: number }
  | { readonly kind: 'metric'; readonly name: string; readonly method: 'inc' | 'observe'; readonly given: unknown[] }
  | { readonly kind: 'disposal'; readonly disposal: Disposal };
