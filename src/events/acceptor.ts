import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../platform/clock.js';
import { SynapError, toError, type Fault } from '../platform/errors.js';
import { toFaults } from '../platform/faults.js';
import { clientIdSchema, newId } from '../platform/ids.js';
import type { Metrics } from '../platform/metrics.js';
import { findUnstorable, type Json } from '../platform/text.js';
import { priorities } from '../queues/priorities.js';
import type { Acceptance, Acceptor } from './acceptance.js';
import type { EventCatalogue } from './catalogue.js';
import type { EventType } from './definition.js';
import type { Append, Appended, EventStore } from './store.js';

const longestDelayMs = 366 * 86_400_000;

/** Postgres' range is wider than that of ISO text, and a year 0 stands in neither calendar. */
const isOrdinaryTime = (text: string): boolean => Date.parse(text) >= 0 && new Date(text).getUTCFullYear() <= 9_999;

const bodySchema = z
  .strictObject({
    type: z.string().max(128),
    data: z.unknown(),
    eventId: z.uuid().toLowerCase().optional(),
    aggregateId: clientIdSchema.optional(),
    requestId: clientIdSchema.optional(),
    correlationId: clientIdSchema.optional(),
    causationId: z.uuid().toLowerCase().optional(),
    priority: z.enum(['high', 'normal', 'low']).default('normal'),
    delayMs: z.number().int().min(0).max(longestDelayMs).optional(),
    runAt: z.iso.datetime({ offset: true }).refine(isOrdinaryTime, 'must lie in the years 1970 to 9999').optional(),
  })
  .refine((body) => body.delayMs === undefined || body.runAt === undefined, {
    path: ['runAt'],
    message: 'cannot stand beside delayMs',
  });

type Body = z.infer<typeof bodySchema>;

/** Turns what a client sent into an event: validates, fills in ids, appends. */
export class EventAcceptor implements Acceptor {
  readonly #catalogue: EventCatalogue;
  readonly #store: EventStore;
  readonly #clock: Clock;
  readonly #metrics: Metrics;

  constructor(deps: {
    readonly catalogue: EventCatalogue;
    readonly store: EventStore;
    readonly clock: Clock;
    readonly metrics: Metrics;
  }) {
    this.#catalogue = deps.catalogue;
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.#metrics = deps.metrics;
  }

  async accept(userId: string, body: unknown, options: { readonly idempotencyKey?: string } = {}): Promise<Acceptance> {
    const item = this.#prepare(userId, body, options.idempotencyKey);
    const appended = await this.#store.append(item);
    this.#metrics.eventsAccepted.inc({ type: item.type });
    return toAcceptance(appended);
  }

  async acceptAll(
    userId: string,
    bodies: readonly unknown[],
    { idempotencyKey }: { readonly idempotencyKey?: string } = {},
  ): Promise<readonly (Acceptance | SynapError)[]> {
    return Promise.all(
      bodies.map(async (body, index) => {
        try {
          return await this.accept(
            userId,
            body,
            idempotencyKey === undefined ? {} : { idempotencyKey: `${idempotencyKey}#${index}` },
          );
        } catch (thrown) {
          // Whatever it is, it is this item's alone: the others are accepted, and must be told so.
          return thrown instanceof SynapError
            ? thrown
            : new SynapError('internal', toError(thrown).message, { cause: thrown });
        }
      }),
    );
  }

  #prepare(userId: string, given: unknown, key: string | undefined): Append {
    const body = bodySchema.safeParse(given);
    const definition = this.#definitionOf(given);
    // Faults of `data` are told together with those around it, so that nobody has to send twice to learn of both.
    const data = definition !== undefined && hasData(given) ? definition.data.safeParse(given.data) : undefined;
    if (body.success && definition !== undefined && data?.success === true) {
      return this.#fillIn(userId, body.data, definition, storable(data.data as Json), key, given);
    }
    throw invalid([...toFaults(body.error), ...toFaults(data?.error, 'data')]);
  }

  /** Undefined where `given` names none; that is a fault of its form. @throws SynapError unknown_event_type */
  #definitionOf(given: unknown): EventType | undefined {
    const type = typeof given === 'object' && given !== null && 'type' in given ? given.type : undefined;
    if (typeof type !== 'string') return undefined;
    const definition = this.#catalogue.get(type);
    if (definition?.origin === 'client') return definition;
    const shown = type.slice(0, 128);
    throw new SynapError('unknown_event_type', `no client may send "${shown}"`, {
      publicMessage: `"${shown}" is not an event type that can be sent. Known: ${this.#catalogue.accepted.join(', ')}.`,
    });
  }

  #fillIn(
    userId: string,
    body: Body,
    definition: EventType,
    data: Json,
    key: string | undefined,
    given: unknown,
  ): Append {
    const id = body.eventId ?? newId();
    const requestId = body.requestId ?? newId();
    return {
      id,
      type: definition.type,
      aggregateId: definition.aggregateIdOf?.(data) ?? body.aggregateId ?? newId(),
      aggregateType: definition.aggregateType,
      userId,
      data,
      version: definition.version,
      source: 'api',
      causationId: body.causationId ?? null,
      correlationId: body.correlationId ?? requestId,
      requestId,
      priority: priorities[body.priority],
      runAt: this.#runAt(body),
      handled: this.#catalogue.hasHandler(definition.type),
      key: key ?? null,
      requestHash: key === undefined ? null : createHash('sha256').update(JSON.stringify(given)).digest('base64url'),
    };
  }

  #runAt({ delayMs, runAt }: Body): string | null {
    if (runAt !== undefined) return new Date(runAt).toISOString();
    return delayMs === undefined || delayMs === 0 ? null : new Date(this.#clock.now() + delayMs).toISOString();
  }
}

function hasData(given: unknown): given is { readonly data: unknown } {
  return typeof given === 'object' && given !== null && 'data' in given;
}

function storable(data: Json): Json {
  const bad = findUnstorable(data, 'data');
  if (bad === undefined) return data;
  throw invalid([{ path: bad, message: 'contains U+0000 or a lone surrogate, which cannot be stored' }]);
}

function invalid(faults: readonly Fault[]): SynapError {
  return new SynapError('validation_failed', faults.map(({ path, message }) => `${path}: ${message}`).join('; '), {
    faults,
  });
}

function toAcceptance({ id, requestId, correlationId, aggregateId }: Appended): Acceptance {
  return {
    eventId: id,
    requestId,
    correlationId,
    aggregateId,
    status: 'accepted',
    links: { request: `/v1/requests/${requestId}`, event: `/v1/events/${id}` },
  };
}
