import { sql } from 'kysely';
import { recordAct } from '../platform/audit.js';
import type { Clock } from '../platform/clock.js';
import type { Database, Sql } from '../platform/database.js';
import { SynapError, toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { QueueBackend } from '../queues/backend.js';
import { atMost } from '../realtime/redis/at-most.js';
import { reachable } from './administration.js';
import { readWaitingCounts, type WaitingCounts } from './waiting-counts.js';

export interface QueueRate {
  readonly max: number;
  readonly windowMs: number;
}

/** What is left out stays as it is; null takes a limit away. */
export interface QueueChange {
  readonly paused?: boolean | undefined;
  readonly concurrency?: number | null | undefined;
  readonly rate?: QueueRate | null | undefined;
}

export interface QueueView {
  readonly queue: string;
  readonly paused: boolean;
  /** Of all workers together; null: each worker's own bound alone. */
  readonly concurrency: number | null;
  readonly rate: QueueRate | null;
  readonly updatedAt: Date | null;
  readonly updatedBy: string | null;
  /** In the queue's store; null where it does not answer. */
  readonly counts: { readonly waiting: number; readonly active: number; readonly delayed: number } | null;
  /** In Postgres alone, each counted up to 10,001, which means more. */
  readonly postgres: { readonly due: number; readonly scheduled: number; readonly deadLetters: number };
}

export interface QueueAdministrationDeps {
  readonly database: Pick<Database, 'pool' | 'sql'>;
  readonly backend: Pick<QueueBackend, 'queue'>;
  /** The names of all queues. */
  readonly queues: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A frozen store must not keep who asks waiting. */
const storeTimeoutMs = 2_000;

/** What operators see of queues and set for them. Set is what Postgres has; the settings' keeper applies it to the store. */
export class QueueAdministration {
  readonly #deps: QueueAdministrationDeps;

  constructor(deps: QueueAdministrationDeps) {
    this.#deps = deps;
  }

  list(): Promise<QueueView[]> {
    return reachable(this.#read(this.#deps.queues));
  }

  /** @throws SynapError not_found */
  async find(queue: string): Promise<QueueView> {
    const [view] = await reachable(this.#read([this.#known(queue)]));
    if (view === undefined) throw new SynapError('not_found', `there is no queue ${queue}`);
    return view;
  }

  /** @throws SynapError not_found, unavailable */
  async change(queue: string, change: QueueChange, { actor }: { readonly actor: string }): Promise<QueueView> {
    this.#known(queue);
    const { paused, concurrency, rate } = change;
    const changed = {
      ...(paused !== undefined && { isPaused: paused }),
      ...(concurrency !== undefined && { concurrency }),
      ...(rate !== undefined && { rateMax: rate?.max ?? null, rateWindowMs: rate?.windowMs ?? null }),
      updatedBy: actor,
      updatedAt: sql<Date>`now()`,
    };
    await reachable(
      this.#deps.database.sql.transaction().execute(async (tx) => {
        await tx
          .insertInto('queue_settings')
          .values({ queue, ...changed })
          .onConflict((row) => row.column('queue').doUpdateSet(changed))
          .execute();
        const details = { paused, concurrency, rate: rate && { ...rate } };
        await recordAct(tx, { actor, action: 'queue.changed', target: queue, details });
      }),
    );
    return this.find(queue);
  }

  #known(queue: string): string {
    if (this.#deps.queues.includes(queue)) return queue;
    throw new SynapError('not_found', `there is no queue ${queue}`);
  }

  async #read(queues: readonly string[]): Promise<QueueView[]> {
    const { database } = this.#deps;
    const [settings, waiting, counts] = await Promise.all([
      readSettings(database.sql, queues),
      readWaitingCounts(database.pool, queues),
      Promise.all(queues.map((queue) => this.#countsOf(queue))),
    ]);
    const settingsOf = new Map(settings.map((row) => [row.queue, row]));
    const waitingOf = new Map(waiting.map((row) => [row.queue, row]));
    return queues.map((queue, index) =>
      toView(queue, { settings: settingsOf.get(queue), waiting: waitingOf.get(queue), counts: counts[index] ?? null }),
    );
  }

  async #countsOf(queue: string): Promise<QueueView['counts']> {
    const { backend, clock, logger } = this.#deps;
    const counting = Promise.resolve()
      .then(() => backend.queue(queue).getJobCounts('waiting', 'prioritized', 'active', 'delayed'))
      .then(({ waiting = 0, prioritized = 0, active = 0, delayed = 0 }) => ({
        waiting: waiting + prioritized,
        active,
        delayed,
      }))
      .catch((thrown: unknown) => {
        logger.debug({ err: toError(thrown), queue }, 'a queue could not be counted');
        return null;
      });
    return (await atMost(storeTimeoutMs, counting, clock)) ?? null;
  }
}

function readSettings(db: Sql, queues: readonly string[]) {
  return db.selectFrom('queue_settings').selectAll().where('queue', 'in', queues).execute();
}

interface Known {
  readonly settings: Awaited<ReturnType<typeof readSettings>>[number] | undefined;
  readonly waiting: WaitingCounts | undefined;
  readonly counts: QueueView['counts'];
}

function toView(queue: string, { settings, waiting, counts }: Known): QueueView {
  const { rateMax = null, rateWindowMs = null } = settings ?? {};
  return {
    queue,
    paused: settings?.isPaused ?? false,
    concurrency: settings?.concurrency ?? null,
    rate: rateMax === null || rateWindowMs === null ? null : { max: rateMax, windowMs: rateWindowMs },
    updatedAt: settings?.updatedAt ?? null,
    updatedBy: settings?.updatedBy ?? null,
    counts,
    postgres: {
      due: waiting?.due ?? 0,
      scheduled: waiting?.scheduled ?? 0,
      deadLetters: waiting?.dead ?? 0,
    },
  };
}
