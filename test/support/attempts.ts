import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { EventAcceptor } from '../../src/events/acceptor.js';
import { EventCatalogue } from '../../src/events/catalogue.js';
import { EventStore } from '../../src/events/store.js';
import { Claims } from '../../src/execution/claims.js';
import { Executor } from '../../src/execution/executor.js';
import { Finishing } from '../../src/execution/finishing.js';
import { Handlers } from '../../src/execution/handlers.js';
import { WorkerRegistry } from '../../src/execution/worker-registry.js';
import type { Feature } from '../../src/features/feature.js';
import type { Services } from '../../src/features/services.js';
import { systemClock } from '../../src/platform/clock.js';
import type { Database } from '../../src/platform/database.js';
import { createMetrics } from '../../src/platform/metrics.js';
import type { Disposal } from '../../src/queues/backend.js';
import type { Ephemeral, WireNotification } from '../../src/realtime/contract.js';
import type { Publisher } from '../../src/realtime/publisher.js';

export type Heard = Omit<WireNotification, 'room' | 'seq' | 'epoch'>;

export interface Sent {
  readonly type: string;
  readonly data: unknown;
  readonly aggregateId?: string;
  readonly eventId?: string;
  readonly requestId?: string;
}

export interface Story {
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly causationId: string | null;
  readonly correlationId: string;
}

/**
 * Features on a real database, through the real acceptor, claims, executor and finishing, but without a queue: a test says
 * when an attempt happens, and what the rooms were told is collected here.
 */
export class Attempts {
  readonly notifications: Heard[] = [];
  readonly ephemeral: Ephemeral[] = [];
  readonly #database: Database;
  readonly #acceptor: EventAcceptor;
  readonly #executor: Executor<Services>;
  readonly #registry: WorkerRegistry;

  constructor(features: readonly Feature[], database: Database, services: Services) {
    this.#database = database;
    const logger = pino({ level: 'silent' });
    const { pool } = database;
    const publisher: Publisher = {
      publish: (entries) =>
        this.notifications.push(...entries.filter(isForUser).map(({ notification }) => notification)),
      ephemeral: (_room, frame) => this.ephemeral.push(frame),
    };
    const handlers = features.flatMap((feature) => feature.handlers);
    const catalogue = new EventCatalogue(
      features.flatMap(({ events }) => events),
      handlers.map(({ on }) => on),
    );
    const ignore = () => undefined;
    this.#registry = new WorkerRegistry({ pool, clock: systemClock, logger });
    this.#acceptor = new EventAcceptor({
      catalogue,
      store: new EventStore({ pool, onRunnable: ignore }),
      clock: systemClock,
      metrics: createMetrics('synap_'),
    });
    this.#executor = new Executor({
      database,
      claims: new Claims({ pool, workerId: this.#registry.id }),
      finishing: new Finishing({ pool, publisher, onRunnable: ignore }),
      handlers: new Handlers(handlers),
      catalogue,
      services,
      publisher,
      clock: systemClock,
      random: () => 0,
      logger,
      metrics: createMetrics('synap_'),
      shutdown: new AbortController().signal,
    });
  }

  start(): Promise<void> {
    return this.#registry.start();
  }

  stop(): Promise<void> {
    return this.#registry.stop();
  }

  accept(userId: string, event: Sent) {
    return this.#acceptor.accept(userId, { requestId: `req-${randomUUID()}`, ...event });
  }

  /** One attempt. A back-off that still runs is taken as over. */
  async attempt(eventId: string, signal = new AbortController().signal): Promise<Disposal> {
    const { rows } = await this.#database.pool.query<{ generation: number }>(
      `UPDATE jobs SET "runAt" = least("runAt", now()) WHERE id = $1 RETURNING generation`,
      [eventId],
    );
    const generation = rows[0]?.generation ?? 0;
    return this.#executor.execute({
      jobId: eventId,
      generation,
      signal,
      log: () => undefined,
      progress: () => undefined,
    });
  }

  /** Accepts an event and attempts it until its job has ended. */
  async run(
    userId: string,
    event: Sent,
  ): Promise<{ eventId: string; aggregateId: string; disposal: Disposal; last: Heard }> {
    const { eventId, aggregateId } = await this.accept(userId, event);
    let disposal = await this.attempt(eventId);
    while (disposal.kind === 'later') disposal = await this.attempt(eventId);
    const last = this.notifications.at(-1);
    if (last === undefined) throw new Error(`${event.type} ended without a notification`);
    return { eventId, aggregateId, disposal, last };
  }

  /** What the event caused, in order. */
  async caused(eventId: string): Promise<Story[]> {
    const { rows } = await this.#database.pool.query<Story>(
      'SELECT type, data, "causationId", "correlationId" FROM events WHERE "causationId" = $1 ORDER BY id',
      [eventId],
    );
    return rows;
  }

  /** As an operator's restart: the steps are forgotten, the job runs again from its beginning. */
  async restart(eventId: string): Promise<Disposal> {
    await this.#database.pool.query('DELETE FROM steps WHERE "jobId" = $1', [eventId]);
    await this.#database.pool.query(
      `UPDATE jobs SET state = 'queued', "finishedAt" = NULL, generation = generation + 1 WHERE id = $1`,
      [eventId],
    );
    return this.attempt(eventId);
  }
}

/** Each notification goes to two rooms; once is enough here. */
const isForUser = ({ room }: { readonly room: string }): boolean => room.startsWith('u:');
