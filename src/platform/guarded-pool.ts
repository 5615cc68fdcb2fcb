import pg from 'pg';
import type { Circuit } from './circuit.js';
import type { Clock } from './clock.js';
import { isConnectionLoss, isReadTimeout, noteDatabaseLoss } from './connection-loss.js';
import type { Logger } from './logger.js';
import { PipelinedQuery } from './pipelined-query.js';
import type { SlowStatements } from './slow-statements.js';

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: Error | boolean) => void,
) => void;

/** What is lent out for longer is a reason to ask whether Postgres answers; a slow transaction passes the question. */
const suspiciousMs = 2_000;
const lookEveryMs = 500;

export interface GuardedPoolOptions {
  readonly pool: pg.PoolConfig;
  /** Pools of one server share it. */
  readonly circuit: Circuit;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Is told of every statement. */
  readonly slow?: SlowStatements | undefined;
}

/**
 * A pool whose callers never wait for a Postgres that does not answer: see Circuit. When it opens, what is lent out and what
 * is idle is dropped, because none of these connections may be trusted again.
 */
export class GuardedPool extends pg.Pool {
  readonly #circuit: Circuit;
  readonly #clock: Clock;
  /** Since when each caller waits for, or has, a connection; oldest first. */
  readonly #since = new Set<{ readonly at: number }>();
  readonly #lent = new Map<pg.PoolClient, { readonly at: number }>();
  /** How to tell those who wait for a connection that none will come. */
  readonly #refuse = new Set<(reason: Error) => void>();
  #isLooking = false;

  constructor({ pool, circuit, clock, logger, slow }: GuardedPoolOptions) {
    super(pool);
    this.#clock = clock;
    this.#circuit = circuit;
    circuit.onOpen(() => this.#dropAll());
    // An idle connection that Postgres ends is replaced by the pool; without a listener it would end the process.
    this.on('error', (error) => logger.debug({ err: error }, 'an idle database connection was lost'));
    this.on('connect', (client) => {
      // So would one that is lost between two statements of a transaction: the pool does not listen to what it has lent out.
      client.on('error', (error) => logger.debug({ err: error }, 'a database connection was lost'));
      endWhenLost(client, (thrown) => this.#onLoss(thrown), slow);
    });
    this.on('release', (error: unknown, client) => {
      const entry = this.#lent.get(client);
      if (entry !== undefined) this.#since.delete(entry);
      this.#lent.delete(client);
      if (error instanceof Error && isConnectionLoss(error)) this.#onLoss(error);
    });
  }

  /** @throws Error that `isConnectionLoss` knows, at once while Postgres does not answer. */
  override connect(): Promise<pg.PoolClient>;
  override connect(answer: Connected): void;
  override connect(answer?: Connected): Promise<pg.PoolClient> | void {
    const connecting = this.#connect();
    if (answer === undefined) return connecting;
    connecting.then(
      (client) => answer(undefined, client, (error) => client.release(error)),
      (error: Error) => answer(error, undefined, () => undefined),
    );
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#circuit.isOpen) throw noAnswer();
    const entry = { at: this.#clock.now() };
    this.#since.add(entry);
    this.#lookLater();
    try {
      const client = await this.#unlessRefused(super.connect());
      this.#lent.set(client, entry);
      return client;
    } catch (thrown) {
      this.#since.delete(entry);
      if (isConnectionLoss(thrown)) this.#circuit.suspect();
      throw noteDatabaseLoss(thrown);
    }
  }

  async #unlessRefused(connecting: Promise<pg.PoolClient>): Promise<pg.PoolClient> {
    const { promise: refused, reject } = Promise.withResolvers<never>();
    this.#refuse.add(reject);
    try {
      return await Promise.race([connecting, refused]);
    } catch (thrown) {
      connecting.then(
        (client) => client.release(true),
        () => undefined,
      );
      throw thrown;
    } finally {
      this.#refuse.delete(reject);
    }
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(lookEveryMs, () => {
      this.#isLooking = false;
      const [oldest] = this.#since;
      if (oldest === undefined) return;
      if (this.#clock.now() - oldest.at >= suspiciousMs) this.#circuit.suspect();
      this.#lookLater();
    });
  }

  #onLoss(thrown: unknown): void {
    // Postgres ends a statement before this: no answer at all means that the way is dead, and so for its idle neighbours.
    if (isReadTimeout(thrown)) this.#dropIdle();
    this.#circuit.suspect();
  }

  #dropAll(): void {
    for (const client of this.#lent.keys()) drop(client);
    for (const refuse of this.#refuse) refuse(noAnswer());
    this.#dropIdle();
  }

  #dropIdle(): void {
    for (let left = this.idleCount; left > 0; left--) {
      super.connect().then(
        (client) => {
          drop(client);
          client.release(true);
        },
        () => undefined,
      );
    }
  }
}

const noAnswer = (): Error => noteDatabaseLoss(new Error('Connection terminated: Postgres does not answer'));

/** `end` marks it unusable for whoever still has it; a goodbye would wait for a server that reads nothing. */
function drop(client: pg.PoolClient): void {
  void client.end();
  client.connection.stream.destroy();
}

/**
 * pg gives up waiting for an answer and leaves its connection usable: the next caller would wait behind the same statement, maybe
 * inside the transaction of the one before. `pool.query` drops such a client, who has borrowed one (Kysely, Prisma) does not.
 */
export function endWhenLost(
  client: pg.PoolClient,
  onLoss: (thrown: unknown) => void = () => undefined,
  slow?: SlowStatements,
): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const guarded = (...args: unknown[]): unknown => {
    const ended = slow?.start(args[0]);
    const sent = query(...(ended === undefined ? args : calledAfter(args, ended)));
    const running = sent instanceof PipelinedQuery ? sent.answer : sent;
    if (!(running instanceof Promise)) return running;
    if (ended !== undefined) running.then(ended, ended);
    return running.catch((thrown: unknown) => {
      if (isConnectionLoss(thrown)) {
        noteDatabaseLoss(thrown);
        if (isReadTimeout(thrown)) drop(client);
        onLoss(thrown);
      }
      throw thrown;
    });
  };
  Object.assign(client, { query: guarded });
}

/** `pool.query` asks its client with a callback; everybody else gets a promise. */
function calledAfter(args: unknown[], ended: () => void): unknown[] {
  const callback = args.at(-1);
  if (typeof callback !== 'function') return args;
  const after = (...answer: unknown[]): void => {
    ended();
    (callback as (...answer: unknown[]) => void)(...answer);
  };
  return [...args.slice(0, -1), after];
}
