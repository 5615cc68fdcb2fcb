import type { Acceptance, Acceptor } from '../../events/acceptance.js';
import type { EventCatalogue } from '../../events/catalogue.js';
import type { EventLimit } from '../../events/definition.js';
import type { Clock } from '../../platform/clock.js';
import { SynapError } from '../../platform/errors.js';
import type { Counters } from './counters.js';

type Options = Parameters<Acceptor['accept']>[2];

/** Holds each user to the limits that event types declare; an event in a batch counts like one that comes alone. */
export class LimitedAcceptor implements Acceptor {
  readonly #inner: Acceptor;
  readonly #catalogue: EventCatalogue;
  readonly #counters: Counters;
  readonly #clock: Clock;

  constructor(
    inner: Acceptor,
    deps: { readonly catalogue: EventCatalogue; readonly counters: Counters; readonly clock: Clock },
  ) {
    this.#inner = inner;
    this.#catalogue = deps.catalogue;
    this.#counters = deps.counters;
    this.#clock = deps.clock;
  }

  async accept(userId: string, body: unknown, options?: Options): Promise<Acceptance> {
    const limited = this.#limitOf(body);
    if (limited !== undefined) {
      const [refusal] = await this.#count(userId, limited.type, limited.limit, 1);
      if (refusal !== undefined) throw refusal;
    }
    return this.#inner.accept(userId, body, options);
  }

  async acceptAll(
    userId: string,
    bodies: readonly unknown[],
    options?: Options,
  ): Promise<readonly (Acceptance | SynapError)[]> {
    const refused = await this.#refusals(userId, bodies);
    return this.#inner.acceptAll(userId, bodies, { ...options, refused });
  }

  /** The refused items of a batch, by their place. */
  async #refusals(userId: string, bodies: readonly unknown[]): Promise<ReadonlyMap<number, SynapError>> {
    const places = new Map<string, { readonly limit: EventLimit; readonly indices: number[] }>();
    for (const [index, body] of bodies.entries()) {
      const limited = this.#limitOf(body);
      if (limited === undefined) continue;
      const group = places.get(limited.type) ?? { limit: limited.limit, indices: [] };
      group.indices.push(index);
      places.set(limited.type, group);
    }
    const refusals = new Map<number, SynapError>();
    for (const [type, { limit, indices }] of places) {
      const counted = await this.#count(userId, type, limit, indices.length);
      for (const [nth, index] of indices.entries()) {
        const refusal = counted[nth];
        if (refusal !== undefined) refusals.set(index, refusal);
      }
    }
    return refusals;
  }

  /** Counts `amount` events of a type and answers, for each, why it is refused. */
  async #count(userId: string, type: string, limit: EventLimit, amount: number): Promise<(SynapError | undefined)[]> {
    const { total, endsAt } = await this.#counters.hitEverywhere(
      `type:${type}:${userId}`,
      { windowMs: limit.windowMs },
      amount,
    );
    const allowed = Math.max(0, limit.max - (total - amount));
    return Array.from({ length: amount }, (_, nth) => (nth < allowed ? undefined : this.#refusal(type, limit, endsAt)));
  }

  #refusal(type: string, { max, windowMs }: EventLimit, endsAt: number): SynapError {
    return new SynapError('rate_limited', `too many ${type}`, {
      publicMessage: `A user may send ${max} ${type} in ${windowMs / 1_000} s.`,
      retryAfterMs: Math.max(0, endsAt - this.#clock.now()),
    });
  }

  #limitOf(body: unknown): { readonly type: string; readonly limit: EventLimit } | undefined {
    if (typeof body !== 'object' || body === null || !('type' in body) || typeof body.type !== 'string')
      return undefined;
    const limit = this.#catalogue.get(body.type)?.limit;
    return limit && { type: body.type, limit };
  }
}
