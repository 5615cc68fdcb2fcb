import type { z } from 'zod';
import { defineEvent, type EventType } from '../events/definition.js';
import type { Schedule } from '../events/schedule.js';
import { defineHandlerFor, failureData, type FailureData, type Handler } from '../execution/handler.js';
import type { Database } from '../platform/database.js';
import type { Services } from './services.js';

export const defineHandler = defineHandlerFor<Services>();

/** The `*.failed` event of a handler, which is emitted when its job is dead. */
export const defineFailure = (type: string, aggregateType: string): EventType<FailureData> =>
  defineEvent({ type, aggregateType, origin: 'handler', data: failureData });

/** What a read route gets; `userId` is the owner, from the token, and every query must be narrowed by it. */
export interface ReadContext<Params, Query> {
  readonly userId: string;
  readonly params: Params;
  readonly query: Query;
  readonly database: Database;
}

/** A GET route over a projection. It answers JSON; `undefined` is 404. Lists answer `{items, nextCursor}`. */
export interface Read {
  /** Express syntax, such as `/v1/notes/:id`. */
  readonly path: string;
  readonly params: z.ZodType;
  readonly query: z.ZodType;
  run(context: ReadContext<unknown, unknown>): Promise<unknown>;
}

export interface ReadOptions<Params, Query> {
  readonly path: string;
  readonly params: z.ZodType<Params>;
  readonly query: z.ZodType<Query>;
  run(context: ReadContext<Params, Query>): Promise<unknown>;
}

/** Params and query reach `run` as their schemas parsed them. */
export function defineRead<Params, Query>(options: ReadOptions<Params, Query>): Read {
  return {
    ...options,
    run: (context) => options.run({ ...context, params: context.params as Params, query: context.query as Query }),
  };
}

/** One folder of src/features: its event types, their handlers, the read routes of its projections, and what it does by the clock. */
export interface Feature {
  readonly name: string;
  readonly events: readonly EventType[];
  readonly handlers: readonly Handler<Services>[];
  readonly reads: readonly Read[];
  readonly schedules?: readonly Schedule[];
}

export const defineFeature = (feature: Feature): Feature => feature;
