import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { runStatement, type Statement } from '../platform/database.js';
import { fewRows } from '../platform/few-rows.js';
import type { Leadership } from '../platform/leader.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import { Periodic } from '../platform/periodic.js';
import type { QueueBackend } from '../queues/backend.js';
import { findTicket } from '../queues/ticket.js';
import { UnfinishedJobs, type TicketHolder } from './unfinished-jobs.js';

export interface UnclaimedTicketsOptions {
  readonly pool: pg.Pool;
  readonly backend: Pick<QueueBackend, 'active'>;
  readonly queues: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly leader?: Leadership;
}

const everyMs = 1_000;
/** A worker claims what it takes within milliseconds. */
const patienceMs = 2_000;
const perStatement = 1_000;

const readUnclaimed: Statement = {
  name: 'jobs-unclaimed',
  text: `
  SELECT j.id, j.generation FROM jobs j JOIN unnest($1::uuid[], $2::int[]) AS t(id, generation)
    ON j.id = t.id AND j.generation = t.generation
  WHERE j."finishedAt" IS NULL AND j.state = 'queued' AND ${fewRows('t.generation')}`,
};

interface Sighting {
  readonly firstAt: number;
  /** `claimed` is never asked about again; `suspected` was found unclaimed once. */
  verdict: 'unknown' | 'suspected' | 'claimed';
}

/**
 * Finds tickets that a queue has given out and nobody claims: the answer was lost with a connection, or the worker died with it in
 * hand. The queue's own lock would hold such a job back for 15 to 20 s. It is dispatched anew with its next generation,
 * so whoever has the old ticket after all finds it obsolete. What a worker runs is asked about once and then left alone.
 */
export class UnclaimedTickets {
  readonly #options: UnclaimedTicketsOptions;
  readonly #jobs: UnfinishedJobs;
  readonly #periodic: Periodic;
  #sightings: ReadonlyMap<string, Sighting> = new Map();

  constructor(options: UnclaimedTicketsOptions) {
    this.#options = options;
    this.#jobs = new UnfinishedJobs(options.pool);
    const { clock, logger, leader } = options;
    this.#periodic = new Periodic({
      name: 'unclaimed tickets',
      everyMs,
      failure: 'what the workers have in hand could not be looked at',
      run: () => this.runOnce(),
      ...{ clock, logger, leader },
    });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** A ticket is given up in the third round that sees it, and only where two of them found its job unclaimed. */
  async runOnce(): Promise<void> {
    const { backend, queues, clock, logger, metrics } = this.#options;
    const active = await backend.active(queues);
    this.#see([...active.values()].flat());
    const holders = [...active].flatMap(([queue, ids]) => ids.flatMap((id) => this.#toDoubt(queue, id, clock.now())));
    const lost: TicketHolder[] = [];
    for (let from = 0; from < holders.length; from += perStatement)
      lost.push(...(await this.#unclaimed(holders.slice(from, from + perStatement))));
    if (lost.length === 0) return;
    const again = await this.#jobs.dispatchAgain(lost);
    metrics.outboxDispatched.inc({ path: 'reconciler' }, again);
    logger.warn({ jobs: again }, 'tickets were given out and nobody claimed them; their jobs are dispatched again');
  }

  #see(ids: readonly string[]): void {
    const firstAt = this.#options.clock.now();
    const before = this.#sightings;
    this.#sightings = new Map(ids.map((id) => [id, before.get(id) ?? { firstAt, verdict: 'unknown' }]));
  }

  #toDoubt(queue: string, ticket: string, now: number): (TicketHolder & { readonly sighting: Sighting })[] {
    const sighting = this.#sightings.get(ticket);
    const found = findTicket(ticket);
    if (sighting === undefined || found === undefined || sighting.verdict === 'claimed') return [];
    return now - sighting.firstAt < patienceMs
      ? []
      : [{ id: found.jobId, generation: found.generation, queue, sighting }];
  }

  async #unclaimed(holders: readonly (TicketHolder & { readonly sighting: Sighting })[]): Promise<TicketHolder[]> {
    const { pool } = this.#options;
    const ids = holders.map(({ id }) => id);
    const generations = holders.map(({ generation }) => generation);
    const rows = await runStatement<{ id: string }>(pool, readUnclaimed, [ids, generations]);
    const unclaimed = new Set(rows.map(({ id }) => id));
    return holders.filter(({ id, sighting }) => {
      const wasSuspected = sighting.verdict === 'suspected';
      sighting.verdict = unclaimed.has(id) ? 'suspected' : 'claimed';
      return wasSuspected && unclaimed.has(id);
    });
  }
}
