import pg from 'pg';
import type { Clock } from './clock.js';
import { toError } from './errors.js';
import type { Logger } from './logger.js';
import { Periodic } from './periodic.js';

/** Whether this process does what one process at a time should do. */
export interface Leadership {
  readonly isLeader: boolean;
}

export interface LeaderOptions {
  readonly databaseUrl: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

// One more than the deployment's lock; any fixed number would do.
const lockKey = 0x73796e62;
const everyMs = 500;
/** Postgres ends a leader's session that says nothing for so long: frozen, or its host is gone without a word. */
const sessionTimeoutMs = 2_000;
/** Less than that, counted from when the last answered question was sent: a leader that thaws knows before it acts. */
const believedForMs = 1_500;
const connectTimeoutMs = 5_000;

/** What the server knows by these names it is told: `idle_session_timeout` came with PostgreSQL 14. */
const settings = JSON.stringify({
  idle_session_timeout: String(sessionTimeoutMs),
  tcp_keepalives_idle: '2',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '5000',
  lock_timeout: '1000',
  statement_timeout: '1000',
});

/**
 * One process of a fleet leads: the one that holds an advisory lock by a connection of its own. The lock ends with the
 * session, the session with its process, and where a process or a network falls silent, by Postgres' own timer. So somebody
 * else leads within about 2 s. Two leaders for a moment do no harm: everything they do may be done twice.
 */
export class Leader implements Leadership {
  readonly #options: LeaderOptions;
  readonly #periodic: Periodic;
  #client: pg.Client | undefined;
  #believedUntil = 0;
  #isAway = false;

  constructor(options: LeaderOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#periodic = new Periodic({ name: 'leader', everyMs, run: () => this.#campaign(), clock, logger });
  }

  get isLeader(): boolean {
    return this.#options.clock.now() < this.#believedUntil;
  }

  start(): void {
    this.#periodic.start();
  }

  /** The next leader need not wait for anything. */
  async stop(): Promise<void> {
    await this.#periodic.stop();
    this.#drop();
  }

  /** Takes the lock or asks whether it is still ours; the question also keeps the session alive. */
  async #campaign(): Promise<void> {
    const { clock, logger } = this.#options;
    const askedAt = clock.now();
    const wasLeader = this.isLeader;
    try {
      this.#client ??= await this.#connect();
      const isHeld = await holdLock(this.#client);
      this.#believedUntil = isHeld ? askedAt + believedForMs : 0;
      if (isHeld && !wasLeader) logger.info('leads');
      this.#isAway = false;
    } catch (thrown) {
      // One line when it begins, not two a second.
      if (!this.#isAway) logger.warn({ err: toError(thrown) }, 'cannot ask who leads');
      this.#isAway = true;
      this.#drop();
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl,
      application_name: 'synap-leader',
      keepAlive: true,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: sessionTimeoutMs,
    });
    client.on('error', (error) => this.#options.logger.debug({ err: error }, 'the leader lost its connection'));
    client.on('end', () => this.#forget(client));
    try {
      await client.connect();
      await client.query(
        `SELECT set_config(name, value, false) FROM json_each_text($1) s(name, value) WHERE name IN (SELECT name FROM pg_settings)`,
        [settings],
      );
    } catch (thrown) {
      abandon(client);
      throw thrown;
    }
    return client;
  }

  #forget(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#believedUntil = 0;
  }

  #drop(): void {
    const client = this.#client;
    this.#believedUntil = 0;
    this.#client = undefined;
    if (client !== undefined) abandon(client);
  }
}

async function holdLock(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>({
    name: 'leader-lock',
    text: `
    SELECT EXISTS (
      SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = 0 AND objid = ${lockKey} AND granted
    ) OR pg_try_advisory_lock(${lockKey}) AS held`,
  });
  return rows[0]?.held === true;
}

/** Not awaited: a connection that leads nowhere does not say goodbye. */
function abandon(client: pg.Client): void {
  client.end().catch(() => undefined);
}
