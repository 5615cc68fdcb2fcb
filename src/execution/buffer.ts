import { findUnstorable, type Json } from '../platform/text.js';
import { newId } from '../platform/ids.js';
import type { EventCatalogue } from '../events/catalogue.js';
import type { EventType } from '../events/definition.js';
import type { SynapEvent } from '../events/synap-event.js';
import { toNotificationRow, type NotificationDraft, type NotificationRow } from '../realtime/log/notification-log.js';
import type { EmittedEvent } from './finishing.js';
import type { Notify } from './handler.js';
import { NonRetryableError } from './retry.js';

/** What an attempt emits and notifies: held back until the finishing transaction, so that a failed attempt says nothing. */
export class AttemptBuffer {
  readonly emitted: EmittedEvent[] = [];
  readonly notifications: NotificationRow[] = [];
  readonly #event: SynapEvent;
  readonly #priority: number;
  readonly #catalogue: EventCatalogue;
  #lastSuccess: Json = null;

  constructor(event: SynapEvent, priority: number, catalogue: EventCatalogue) {
    this.#event = event;
    this.#priority = priority;
    this.#catalogue = catalogue;
  }

  /** The data of the last success notification: the request's result where the handler returns none. */
  get lastSuccess(): Json {
    return this.#lastSuccess;
  }

  emit<Data>(
    type: EventType<Data>,
    given: Data,
    options: { readonly aggregateId?: string; readonly source?: 'automation' | 'system' } = {},
  ): void {
    const data = type.data.parse(given);
    const { userId } = this.#event;
    const aggregateId = options.aggregateId ?? type.aggregateIdOf?.(data) ?? this.#event.aggregateId;
    this.emitted.push({
      id: newId(),
      type: type.type,
      aggregateId,
      aggregateType: type.aggregateType,
      userId,
      data: storable(type.type, data as Json),
      version: type.version,
      source: options.source ?? 'automation',
      causationId: this.#event.id,
      correlationId: this.#event.correlationId,
      requestId: this.#event.requestId,
      priority: this.#priority,
      handled: this.#catalogue.hasHandler(type.type),
      lane: this.#catalogue.laneOf(type.type, userId, aggregateId),
    });
  }

  notify(draft: Pick<NotificationDraft, 'type' | 'status' | 'data' | 'error'>): void {
    const { id: eventId, userId, requestId } = this.#event;
    const data = storable(draft.type, draft.data);
    this.notifications.push(toNotificationRow({ ...draft, data, userId, requestId, eventId }));
    if (draft.status === 'success') this.#lastSuccess = draft.data;
  }

  /** The functions that handlers get. */
  toNotify(): Notify {
    return {
      success: (type, data) => this.notify({ type, status: 'success', data }),
      error: (type, data, error) => this.notify({ type, status: 'error', data, error }),
    };
  }
}

function storable(type: string, data: Json): Json {
  const bad = findUnstorable(data);
  if (bad !== undefined)
    throw new NonRetryableError('data_not_storable', `"${type}": ${bad} holds U+0000 or a lone surrogate`);
  return data;
}
