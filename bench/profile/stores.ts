import pg from 'pg';
import type { Place } from '../place.ts';

/** What Postgres and Redis count by themselves, as totals; the difference of two is what a window cost. */
export interface StoreTotals {
  /** `wal bytes`, `commits`, `events: rows inserted`, … */
  readonly postgres: ReadonlyMap<string, number>;
  readonly redisCommands: ReadonlyMap<string, { readonly calls: number; readonly us: number }>;
  readonly redisBytes: { readonly read: number; readonly written: number };
}

/** On connections of its own, and none between two readings. */
export class StoreWatch {
  readonly #place: Place;
  readonly #databaseUrl: string;

  constructor(place: Place, databaseUrl: string) {
    this.#place = place;
    this.#databaseUrl = databaseUrl;
  }

  async totals(): Promise<StoreTotals> {
    const client = new pg.Client({ connectionString: this.#databaseUrl });
    await client.connect();
    try {
      const counts = [...(await this.#wal(client)), ...(await this.#written(client)), ...(await this.#rows(client))];
      return { postgres: new Map(counts), ...(await this.#redis()) };
    } finally {
      await client.end();
    }
  }

  async #wal(client: pg.Client): Promise<[string, number][]> {
    const { rows } = await client.query<Record<string, string>>(
      `SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS "WAL bytes", wal_records AS "WAL records", wal_fpi AS "WAL full pages",
              (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS "commits"
       FROM pg_stat_wal`,
    );
    return toNumbers(rows[0]);
  }

  async #written(client: pg.Client): Promise<[string, number][]> {
    const { rows } = await client.query<Record<string, string>>(
      `SELECT sum(fsyncs) FILTER (WHERE object = 'wal') AS "WAL syncs",
              sum(writes) FILTER (WHERE object = 'wal') AS "WAL writes"
       FROM pg_stat_io`,
    );
    return toNumbers(rows[0]);
  }

  async #rows(client: pg.Client): Promise<[string, number][]> {
    const { rows } = await client.query<{ table: string } & Record<string, string>>(
      `SELECT relname AS "table", n_tup_ins AS "inserted", n_tup_upd AS "updated", n_tup_hot_upd AS "updated without touching an index",
              n_tup_del AS "deleted"
       FROM pg_stat_user_tables`,
    );
    return rows.flatMap(({ table, ...counts }) =>
      toNumbers(counts).map(([what, count]): [string, number] => [`${table}: rows ${what}`, count]),
    );
  }

  async #redis(): Promise<Pick<StoreTotals, 'redisCommands' | 'redisBytes'>> {
    const commands = await this.#place.redis.client.info('commandstats');
    const stats = await this.#place.redis.client.info('stats');
    const found = [...commands.matchAll(/cmdstat_(\S+?):calls=(\d+),usec=(\d+)/g)];
    const bytes = (name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(stats)?.[1] ?? 0);
    return {
      redisCommands: new Map(found.map(([, name = '', calls, us]) => [name, { calls: Number(calls), us: Number(us) }])),
      redisBytes: { read: bytes('total_net_input_bytes'), written: bytes('total_net_output_bytes') },
    };
  }
}

export function differStores(before: StoreTotals, after: StoreTotals): StoreTotals {
  const none = { calls: 0, us: 0 };
  return {
    postgres: new Map([...after.postgres].map(([name, now]) => [name, now - (before.postgres.get(name) ?? 0)])),
    redisCommands: new Map(
      [...after.redisCommands].map(([name, { calls, us }]) => {
        const was = before.redisCommands.get(name) ?? none;
        return [name, { calls: calls - was.calls, us: us - was.us }];
      }),
    ),
    redisBytes: {
      read: after.redisBytes.read - before.redisBytes.read,
      written: after.redisBytes.written - before.redisBytes.written,
    },
  };
}

const toNumbers = (row: Readonly<Record<string, string | null>> = {}): [string, number][] =>
  Object.entries(row).map(([name, value]) => [name, Number(value ?? 0)]);
