import { z } from 'zod';
import type { Sql } from '../platform/database.js';
import type { Json } from '../platform/text.js';
import type { Ordering } from '../events/catalogue.js';
import type { EventType } from '../events/definition.js';
import type { SynapEvent } from '../events/synap-event.js';
import { defaultRetry, type RetryPolicy } from './retry.js';

/** The data of every `*.failed` event. `reason` is what the user may read. */
export const failureData = z.object({
  code: z.string().max(100),
  reason: z.string().max(2_000),
  attempts: z.number().int(),
});
export type FailureData = z.infer<typeof failureData>;

export interface StepOptions {
  /** The longest the step may take; then the attempt fails with `step_timeout`, and is tried again as `retry` says. */
  readonly timeoutMs?: number;
}

/** What a step's function gets. */
export interface StepContext {
  /** The same in every attempt. */
  readonly idempotencyKey: string;
  /** Aborted when the step's time is over, or the attempt's. */
  readonly signal: AbortSignal;
}

export interface Step {
  /**
   * Runs `fn` once and records what it returns; a later attempt gets the record. `fn` acts on the outside world, so it runs at
   * least once: give outside services `idempotencyKey`, and `signal`, so that they stop when nobody waits any more.
   */
  <T extends Json | void>(name: string, fn: (step: StepContext) => Promise<T>, options?: StepOptions): Promise<T>;
  /** Effect and record commit in one transaction, behind the fence: exactly once. Only use `tx`; keep it short. */
  transaction<T extends Json | void>(
    name: string,
    fn: (tx: Sql, step: Pick<StepContext, 'signal'>) => Promise<T>,
    options?: StepOptions,
  ): Promise<T>;
  /** A notification that commits now, once, and not with the job's end: what a page should hear on the way. Any other status than `pending` would say that it has ended. */
  notify(
    name: string,
    notification: { readonly type: string; readonly data: Json; readonly status?: 'pending' },
  ): Promise<void>;
}

/** Notifications that commit with the job's completion, to the user's room and the request's. */
export interface Notify {
  success(type: string, data: Json): void;
  error(type: string, data: Json, error: { readonly code: string; readonly message: string }): void;
}

/** Text for the request's room while it is being made; ephemeral, superseded by the notification at the end. */
export interface TextStream {
  write(text: string): void;
}

/** Lines about one attempt: to the process' log, with its ids, and to the job's Logs tab in Bull Board. */
export interface AttemptLogger {
  info(message: string, details?: object): void;
  warn(message: string, details?: object): void;
  error(message: string, details?: object): void;
}

export type Emit = <Emitted>(
  type: EventType<Emitted>,
  data: NoInfer<Emitted>,
  options?: { readonly aggregateId?: string },
) => void;

/** What a handler gets: one attempt at one event. */
export interface AttemptContext<Data, Services> {
  readonly event: SynapEvent<Data>;
  /** Counted from 1. */
  readonly attempt: number;
  /** Aborted when this attempt must not go on: lock or fence lost, timeout, cancellation, shutdown. */
  readonly signal: AbortSignal;
  readonly logger: AttemptLogger;
  readonly services: Services;
  readonly step: Step;
  /** Appends an event with the job's completion; its causation id is this event's. */
  readonly emit: Emit;
  readonly notify: Notify;
  /** `percent` from 0 to 100. Ephemeral and conflated; the latest is kept on the job. */
  readonly progress: (percent: number, message?: string) => void;
  readonly stream: TextStream;
}

/** The reaction to one event type. `Services` is what the composition root hands to all handlers. */
export interface Handler<Services = never, Data = unknown> {
  readonly on: EventType<Data>;
  /** Every event type that `run` may emit. */
  readonly emits: readonly EventType[];
  /** Emitted, with an error notification of the same type, when the job is dead. */
  readonly failure: EventType<FailureData>;
  /** One job after the other per aggregate, in the order of acceptance; without it, as many at a time as there are workers. */
  readonly ordered?: Ordering;
  readonly retry: RetryPolicy;
  /** The longest an attempt may take. */
  readonly timeoutMs: number;
  /** What it returns is the request's result; without it, the data of its last success notification. */
  run(context: AttemptContext<Data, Services>): Promise<Json | void>;
}

export interface HandlerOptions<Services, Data> {
  readonly on: EventType<Data>;
  readonly emits: readonly EventType[];
  readonly failure: EventType<FailureData>;
  readonly ordered?: Ordering;
  readonly retry?: RetryPolicy;
  readonly timeoutMs?: number;
  run(context: AttemptContext<Data, Services>): Promise<Json | void>;
}

export function defineHandlerFor<Services>() {
  return <Data>(options: HandlerOptions<Services, Data>): Handler<Services, Data> => ({
    retry: defaultRetry,
    timeoutMs: 300_000,
    ...options,
  });
}
