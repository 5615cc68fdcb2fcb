import { EventAcceptor } from '../events/acceptor.js';
import { EventStore } from '../events/store.js';
import type { Clock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import { newId } from '../platform/ids.js';
import type { Json } from '../platform/text.js';
import { priorities } from '../queues/priorities.js';
import type { Build } from './build.js';

/** An event as a client sends it. Of a type that only handlers emit, it is appended as if one had. */
export interface Sent {
  readonly type: string;
  readonly data: unknown;
  readonly eventId?: string;
  readonly aggregateId?: string;
  readonly requestId?: string;
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly priority?: 'high' | 'normal' | 'low';
  readonly delayMs?: number;
  /** ISO 8601, by the kit's clock. */
  readonly runAt?: string;
}

export interface Accepted {
  readonly eventId: string;
  readonly requestId: string;
  readonly aggregateId: string;
}

export interface Accepting {
  /** @throws SynapError as POST /v1/events answers; ZodError where the data of an emitted type is wrong. */
  accept(userId: string, sent: Sent): Promise<Accepted>;
}

/** @param clock the database's: a delay is counted from now, however far the kit's clock is ahead. */
export function createAccepting({ catalogue, metrics }: Build, { pool }: Database, clock: Clock): Accepting {
  const store = new EventStore({ pool, onRunnable: () => undefined });
  const acceptor = new EventAcceptor({ catalogue, store, clock, metrics });
  return {
    async accept(userId, sent) {
      const type = catalogue.get(sent.type);
      if (type?.origin !== 'handler') return acceptor.accept(userId, sent);
      const data = type.data.parse(sent.data);
      const requestId = sent.requestId ?? newId();
      const aggregateId = type.aggregateIdOf?.(data) ?? sent.aggregateId ?? newId();
      const appended = await store.append({
        id: sent.eventId ?? newId(),
        type: type.type,
        aggregateId,
        aggregateType: type.aggregateType,
        userId,
        data: data as Json,
        version: type.version,
        source: 'automation',
        causationId: sent.causationId ?? null,
        correlationId: sent.correlationId ?? requestId,
        requestId,
        priority: priorities[sent.priority ?? 'normal'],
        runAt: null,
        handled: catalogue.hasHandler(type.type),
        lane: catalogue.laneOf(type.type, userId, aggregateId),
        key: null,
        requestHash: null,
      });
      return { eventId: appended.id, requestId, aggregateId: appended.aggregateId };
    },
  };
}
