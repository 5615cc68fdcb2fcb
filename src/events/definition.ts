import type { z } from 'zod';

/** How many events of a type one user may send in a window. */
export interface EventLimit {
  readonly max: number;
  readonly windowMs: number;
}

/** One type of event: its name (`noun.noun.verb`), the form of its data, and who may send it. */
export interface EventType<Data = unknown> {
  readonly type: string;
  readonly version: number;
  readonly aggregateType: string;
  readonly data: z.ZodType<Data>;
  /** `client`: accepted by POST /v1/events. `handler`: only emitted; a client that sends it is told there is no such type. */
  readonly origin: 'client' | 'handler';
  readonly limit?: EventLimit;
  /** The aggregate that `data` names; without it the client's own `aggregateId`, else a new UUID. */
  aggregateIdOf?(data: Data): string | undefined;
}

export interface EventTypeOptions<Data> {
  readonly type: string;
  readonly aggregateType: string;
  readonly data: z.ZodType<Data>;
  readonly origin: 'client' | 'handler';
  readonly version?: number;
  readonly limit?: EventLimit;
  aggregateIdOf?(data: Data): string | undefined;
}

const typePattern = /^[a-z]+(\.[a-z]+){1,4}$/;

/** @throws TypeError where the type's name could not name a queue. */
export function defineEvent<Data>(options: EventTypeOptions<Data>): EventType<Data> {
  if (!typePattern.test(options.type)) throw new TypeError(`"${options.type}" must read noun.noun.verb, lower case`);
  return { version: 1, ...options };
}
