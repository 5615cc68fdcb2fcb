import pg from 'pg';

/** What Postgres counted, up to now. */
export interface Counters {
  readonly walBytes: number;
  readonly walRecords: number;
  /** Rows that were read by scans of whole tables, of tables of more than 10,000 rows. */
  readonly scanned: Readonly<Record<string, number>>;
  /** Updates of each table, and those of them that touched no index. */
  readonly updates: Readonly<Record<string, { readonly all: number; readonly hot: number }>>;
}

const isLarge = 10_000;

/** Asks a contender's database, on a connection of its own. */
export class Store {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async open(databaseUrl: string): Promise<Store> {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    return new Store(client);
  }

  async counters(): Promise<Counters> {
    const wal = await this.#one<{ bytes: number; records: number }>(
      `SELECT wal_bytes::float8 AS bytes, wal_records::float8 AS records FROM pg_stat_wal`,
    );
    const { rows } = await this.#client.query<{ table: string; scanned: number; all: number; hot: number }>(
      `SELECT s.relname AS table, CASE WHEN c.reltuples > ${isLarge} THEN s.seq_tup_read ELSE 0 END::float8 AS scanned,
              s.n_tup_upd::float8 AS all, s.n_tup_hot_upd::float8 AS hot
       FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid`,
    );
    return {
      walBytes: wal.bytes,
      walRecords: wal.records,
      scanned: Object.fromEntries(rows.map((row) => [row.table, row.scanned])),
      updates: Object.fromEntries(rows.map(({ table, all, hot }) => [table, { all, hot }])),
    };
  }

  /** In ms, from the commit of the event to the end of its job, by the database's clock, which counts whole milliseconds. */
  async jobLatency(
    ids: readonly string[],
  ): Promise<{ readonly p50: number; readonly p99: number; readonly mean: number }> {
    return this.#one(
      `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99,
              avg(ms)::float8 AS mean
       FROM (SELECT (EXTRACT(epoch FROM "finishedAt" - "createdAt") * 1000)::float8 AS ms FROM jobs WHERE id = ANY($1::uuid[])) j`,
      [ids],
    );
  }

  async unfinishedOf(ids: readonly string[]): Promise<number> {
    const { n } = await this.#one<{ n: number }>(
      `SELECT count(*)::int AS n FROM jobs WHERE id = ANY($1::uuid[]) AND "finishedAt" IS NULL`,
      [ids],
    );
    return n;
  }

  /** From the first start to the last end. */
  async jobsPerSecond(ids: readonly string[]): Promise<number> {
    const { rate } = await this.#one<{ rate: number }>(
      `SELECT count(*) / EXTRACT(epoch FROM max("finishedAt") - min("startedAt"))::float8 AS rate FROM jobs WHERE id = ANY($1::uuid[])`,
      [ids],
    );
    return rate;
  }

  /** The room of a user who has been told at least so much. */
  room(atLeast: number): Promise<{ readonly key: string; readonly epoch: string; readonly lastSeq: number }> {
    return this.#one(
      `SELECT key, epoch, "lastSeq"::int AS "lastSeq" FROM rooms WHERE key LIKE 'u:user-%' AND "lastSeq" >= $1 ORDER BY key LIMIT 1`,
      [atLeast],
    );
  }

  async waiting(queue: string): Promise<number> {
    const { n } = await this.#one<{ n: number }>('SELECT count(*)::int AS n FROM outbox WHERE queue = $1', [queue]);
    return n;
  }

  /** Bytes of all tables and their indexes. */
  async size(): Promise<number> {
    const { bytes } = await this.#one<{ bytes: number }>(
      `SELECT sum(pg_total_relation_size(oid))::float8 AS bytes FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
    );
    return bytes;
  }

  async isVacuuming(): Promise<boolean> {
    const { n } = await this.#one<{ n: number }>('SELECT count(*)::int AS n FROM pg_stat_progress_vacuum');
    return n > 0;
  }

  /** The handler's own table, and a clean start for what is measured. */
  async run(text: string): Promise<void> {
    await this.#client.query(text);
  }

  close(): Promise<void> {
    return this.#client.end();
  }

  async #one<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row> {
    const { rows } = await this.#client.query<Row>(text, [...values]);
    const [row] = rows;
    if (row === undefined) throw new Error(`no row: ${text}`);
    return row;
  }
}
