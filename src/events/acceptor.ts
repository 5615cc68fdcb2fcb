import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../platform/clock.js';
import { SynapError, toError, type Fault } from '../platform/errors.js';
import { toFaults } from '../platform/faults.js';
import { clientIdSchema, newId } from '../platform/ids.js';
import type { Metrics } from '../platform/metrics.js';
import { canonicalJson, findUnstorable, type Json } from '../platform/text.js';
import { priorities } from '../queues/priorities.js';
import type { Acceptance, Acceptor, BatchOptions } from './acceptance.js';
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
    return this.#append(this.#prepare(userId, body, options.idempotencyKey));
  }

  async acceptAll(
    userId: string,
    bodies: readonly unknown[],
    { idempotencyKey, refused }: BatchOptions = {},
  ): Promise<readonly (Acceptance | SynapError)[]> {
    const items = bodies.map((body, place) => {
      const key = idempotencyKey === undefined ? undefined : `${idempotencyKey}#${place}`;
      return refused?.get(place) ?? attempt(() => this.#prepare(userId, body, key));
    });
    const wanted = items.some((item) => !(item instanceof SynapError));
    if (idempotencyKey !== undefined && wanted) {
      const spoilt = await this.#reserve(userId, idempotencyKey, bodies);
      if (spoilt !== undefined) return items.map((item) => (item instanceof SynapError ? item : spoilt));
    }
    // Whatever happens to one is its own: the others are accepted, and must be told so.
    return Promise.all(
      items.map((item) =>
        item instanceof SynapError ? Promise.resolve(item) : this.#append(item).catch(toSynapError),
      ),
    );
  }

  /**
   * A batch is one body: the key is taken for the whole of it before any of it is appended, or a longer or shorter one would
   * be accepted in those places that the first did not have. Where nothing can be accepted the key is not used.
   */
  #reserve(userId: string, key: string, bodies: readonly unknown[]): Promise<SynapError | undefined> {
    return this.#store.reserve(userId, `${key}#`, hashOf(bodies)).then(() => undefined, toSynapError);
  }

  async #append(item: Append): Promise<Acceptance> {
    const appended = await this.#store.append(item);
    this.#metrics.eventsAccepted.inc({ type: item.type });
    return toAcceptance(appended);
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
    const aggregateId = definition.aggregateIdOf?.(data) ?? body.aggregateId ?? newId();
    return {
      id,
      type: definition.type,
      aggregateId,
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
      lane: this.#catalogue.laneOf(definition.type, userId, aggregateId),
      key: key ?? null,
      requestHash: key === undefined ? null : hashOf(given),
    };
  }

  #runAt({ delayMs, runAt }: Body): string | null {
    if (runAt !== undefined) return new Date(runAt).toISOString();
    return delayMs === undefined || delayMs === 0 ? null : new Date(this.#clock.now() + delayMs).toISOString();
  }
}

/** The same for the same JSON in whatever order its keys were written. */
const hashOf = (body: unknown): string => createHash('sha256').update(canonicalJson(body)).digest('base64url');

function attempt<T>(prepare: () => T): T | SynapError {
  try {
    return prepare();
  } catch (thrown) {
    return toSynapError(thrown);
  }
}

const toSynapError = (thrown: unknown): SynapError =>
  thrown instanceof SynapError ? thrown : new SynapError('internal', toError(thrown).message, { cause: thrown });

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
