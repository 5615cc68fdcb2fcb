import type { SynapError } from '../platform/errors.js';

/** What POST /v1/events answers with 202, once the event is committed. */
export interface Acceptance {
  readonly eventId: string;
  readonly requestId: string;
  readonly correlationId: string;
  readonly aggregateId: string;
  readonly status: 'accepted';
  readonly links: { readonly request: string; readonly event: string };
}

export interface BatchOptions {
  readonly idempotencyKey?: string;
  /** Places of the batch that were refused already: they keep their place and this answer. */
  readonly refused?: ReadonlyMap<number, SynapError>;
}

export interface Acceptor {
  /**
   * Validates `body` (the JSON of one event, untrusted) and appends it for `userId`; resolves after the commit.
   * @throws SynapError validation_failed, unknown_event_type, idempotency_key_reused, event_id_taken, overloaded, unavailable
   */
  accept(userId: string, body: unknown, options?: { readonly idempotencyKey?: string }): Promise<Acceptance>;
  /**
   * Each item by itself, in order; the key of item i is `<idempotencyKey>#<i>`. Another batch under the same key, a longer or
   * shorter one too, is refused in every place.
   */
  acceptAll(
    userId: string,
    bodies: readonly unknown[],
    options?: BatchOptions,
  ): Promise<readonly (Acceptance | SynapError)[]>;
}
