import type { Json } from '../platform/text.js';

export type EventSource = 'api' | 'automation' | 'system';

/** SynapEvent v1: an immutable fact. `id` is a UUIDv7; `timestamp` is when Postgres appended it. */
export interface SynapEvent<Data = unknown> {
  readonly id: string;
  readonly type: string;
  readonly aggregateId: string;
  readonly aggregateType: string;
  readonly userId: string;
  readonly data: Data;
  readonly timestamp: Date;
  readonly version: number;
  readonly source: EventSource;
  /** The event that caused this one. */
  readonly causationId: string | null;
  /** The whole story; defaults to the request id. */
  readonly correlationId: string;
  /** The client's own id for one operation. */
  readonly requestId: string;
}

/** An event before it is appended. */
export interface EventDraft {
  readonly id: string;
  readonly type: string;
  readonly aggregateId: string;
  readonly aggregateType: string;
  readonly userId: string;
  readonly data: Json;
  readonly version: number;
  readonly source: EventSource;
  readonly causationId: string | null;
  readonly correlationId: string;
  readonly requestId: string;
}
