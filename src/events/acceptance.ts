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

export interface Acceptor {
  /**
   * Validates `body` (the JSON of one event, untrusted) and appends it for `userId`; resolves after the commit.
   * @throws SynapError validation_failed, unknown_event_type, idempotency_key_reused, event_id_taken, overloaded, unavailable
   */
  accept(userId: string, body: unknown, options?: { readonly idempotencyKey?: string }): Promise<Acceptance>;
  /** Each item by itself, in order; the key of item i is `<idempotencyKey>#<i>`. */
  acceptAll(
    userId: string,
    bodies: readonly unknown[],
    options?: { readonly idempotencyKey?: string },
  ): Promise<readonly (Acceptance | SynapError)[]>;
}
