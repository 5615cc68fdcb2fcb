import type pg from 'pg';
import type { Occupancy } from './backend.js';
import type { Looks } from './bullmq-backend.js';
import { priorities } from './priorities.js';

const occupancy = {
  name: 'queues-occupancy',
  text: `
  SELECT q.queue, w.n + d.n + a.n AS tickets, w.high FROM unnest($1::text[]) AS q(queue)
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS n, count(*) FILTER (WHERE priority <= ${priorities.high})::int AS high
    FROM job WHERE job.queue = q.queue AND state = 'waiting'
  ) w
  CROSS JOIN LATERAL (SELECT count(*)::int AS n FROM job WHERE job.queue = q.queue AND state = 'delayed') d
  CROSS JOIN LATERAL (SELECT count(*)::int AS n FROM job WHERE job.queue = q.queue AND state = 'active') a`,
};

const known = {
  name: 'queues-known',
  text: `SELECT id FROM job WHERE queue = $1 AND id = ANY($2) AND state IN ('waiting', 'delayed', 'active')`,
};

const active = {
  name: 'queues-active',
  text: `SELECT queue, id FROM job WHERE queue = ANY($1) AND state = 'active'`,
};

const overtaken = {
  name: 'queues-overtaken',
  text: `
  SELECT id FROM job WHERE queue = $1 AND state = 'waiting' AND priority = $2
    AND EXISTS (SELECT FROM job a WHERE a.queue = $1 AND a.state = 'waiting' AND a.priority < $2)
  ORDER BY seq LIMIT $3`,
};

/** What dispatch asks of queues in Postgres, each question in one statement. `pool` sees BullMQ's tables. */
export class PostgresLooks implements Looks {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async missing(queue: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await this.#pool.query<{ id: string }>({ ...known, values: [queue, ids] });
    const here = new Set(rows.map(({ id }) => id));
    return new Set(ids.filter((id) => !here.has(id)));
  }

  async active(queues: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const { rows } = await this.#pool.query<{ queue: string; id: string }>({ ...active, values: [queues] });
    const byQueue = Map.groupBy(rows, ({ queue }) => queue);
    return new Map(queues.map((queue) => [queue, (byQueue.get(queue) ?? []).map(({ id }) => id)]));
  }

  async occupancy(queues: readonly string[]): Promise<ReadonlyMap<string, Occupancy>> {
    const { rows } = await this.#pool.query<Occupancy & { readonly queue: string }>({ ...occupancy, values: [queues] });
    return new Map(rows.map(({ queue, tickets, high }) => [queue, { tickets, high }]));
  }

  /** These tables forget nothing that Synap's own remember. Another store's generation differs, so what changed the store moves. */
  generations(queues: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(new Map(queues.map((queue) => [queue, generation])));
  }

  beginGeneration(): Promise<string> {
    return Promise.resolve(generation);
  }

  async overtaken(queue: string, priority: number, limit: number): Promise<readonly string[]> {
    const { rows } = await this.#pool.query<{ id: string }>({ ...overtaken, values: [queue, priority, limit] });
    return rows.map(({ id }) => id);
  }
}

const generation = 'postgres';
