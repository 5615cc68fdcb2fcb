import type { SynapEvent } from './synap-event.js';

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Opaque; absent on the last page. */
  readonly nextCursor?: string;
}

export interface PageRequest {
  readonly cursor?: string | undefined;
  /** 1 to 100. */
  readonly limit: number;
}

/** Reads of the event store; all narrowed to the owner. */
export interface EventQueries {
  find(userId: string, eventId: string): Promise<SynapEvent | undefined>;
  /** A workflow, oldest first. @throws SynapError `validation_failed` for a cursor it did not make. */
  getCorrelatedEvents(userId: string, correlationId: string, page: PageRequest): Promise<Page<SynapEvent>>;
  /** The direct children of an event. */
  findEventsByCausation(userId: string, eventId: string): Promise<readonly SynapEvent[]>;
  /** All that the event caused, itself excluded, oldest first, each with its `depth` (children: 1). */
  descendants(
    userId: string,
    eventId: string,
    page: PageRequest,
  ): Promise<Page<SynapEvent & { readonly depth: number }>>;
}
