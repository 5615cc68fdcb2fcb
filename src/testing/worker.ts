import type pg from 'pg';
import { Claims } from '../execution/claims.js';
import { Executor } from '../execution/executor.js';
import { Finishing, type Finish, type Finished, type FinishingOptions } from '../execution/finishing.js';
import { Handlers } from '../execution/handlers.js';
import { WorkerRegistry } from '../execution/worker-registry.js';
import type { Services } from '../features/services.js';
import { systemClock } from '../platform/clock.js';
import type { Database } from '../platform/database.js';
import { newId } from '../platform/ids.js';
import type { Publisher } from '../realtime/publishing/publisher.js';
import { createServicesFor, openDatabase, type Build } from './build.js';
import { observeHandler, throwPlanned, type CrashPoint, type Probe, type Reach } from './crash-points.js';
import { makeSeverable } from './severable.js';
import type { TestClock } from './test-clock.js';

export interface TestWorkerOptions {
  readonly build: Build;
  readonly url: string;
  /** Of the living: what looks after the dead. */
  readonly observer: pg.Pool;
  readonly clock: TestClock;
  readonly probeOf: (eventId: string) => Probe;
}

const poolMax = 5;
const never = new Promise<never>(() => undefined);

/** Durable notifications are read from Postgres, where a real publisher finds them too. */
const silence: Publisher = { publish: () => undefined, ephemeral: () => undefined };

/**
 * A worker process inside this one: connections, claims, executor and finishing of its own. `crash` ends it as SIGKILL ends a
 * process: what it was doing never goes on, its connections close in the middle, its heartbeat is heard no more.
 */
export class TestWorker {
  readonly #options: TestWorkerOptions;
  readonly #name = `synap-kit-${newId()}`;
  readonly #database: Database;
  readonly #registry: WorkerRegistry;
  readonly #executor: Executor<Services>;
  readonly #sever: () => void;
  readonly #died = Promise.withResolvers<'crashed'>();
  #isDead = false;

  constructor(options: TestWorkerOptions) {
    const { build, url, clock, probeOf } = options;
    const { logger, catalogue, handlers, metrics } = build;
    this.#options = options;
    this.#database = openDatabase(named(url, this.#name), build, poolMax);
    this.#sever = makeSeverable(this.#database.pool);
    const { pool } = this.#database;
    // Heartbeats are compared with the database's time.
    this.#registry = new WorkerRegistry({ pool, clock: systemClock, logger });
    this.#executor = new Executor({
      database: this.#database,
      claims: new Claims({ pool, workerId: this.#registry.id, isIsolated: true }),
      finishing: new ObservedFinishing({ pool, publisher: silence, onRunnable: () => undefined }, this.#reach),
      handlers: new Handlers(handlers.map((handler) => observeHandler(handler, this.#reach, probeOf))),
      catalogue,
      services: createServicesFor(build, this.#database, clock),
      publisher: silence,
      clock,
      random: () => 0,
      logger,
      metrics,
      attempts: this.#registry.attempts,
      shutdown: new AbortController().signal,
    });
  }

  static async start(options: TestWorkerOptions): Promise<TestWorker> {
    const worker = new TestWorker(options);
    await worker.#registry.start();
    return worker;
  }

  /** Resolves at the attempt's end, or when this worker has crashed and nothing of it is left in Postgres but its traces. */
  async attempt(jobId: string, generation: number, signal: AbortSignal): Promise<'ended' | 'crashed'> {
    const ignore = () => undefined;
    const ended = this.#executor.execute({ jobId, generation, signal, log: ignore, progress: ignore });
    const how = await Promise.race([ended.then(() => 'ended' as const), this.#died.promise]);
    if (how === 'crashed') await this.#bury();
    return how;
  }

  async stop(): Promise<void> {
    if (this.#isDead) return;
    await this.#registry.stop();
    await this.#database.close();
  }

  readonly #reach: Reach = async (eventId, point) => {
    if (this.#isDead) return never;
    const act = this.#options.probeOf(eventId).reach(point);
    if (act === undefined) return;
    if (act !== 'crash') throwPlanned(act, point);
    this.#isDead = true;
    this.#sever();
    this.#died.resolve('crashed');
    return never;
  };

  /** Waits until Postgres has rolled back what was open; the dead one's heartbeat is then older than any life. */
  async #bury(): Promise<void> {
    const { observer } = this.#options;
    await observer.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1', [
      this.#name,
    ]);
    await observer.query(`UPDATE workers SET "heartbeatAt" = now() - interval '1 hour' WHERE id = $1`, [
      this.#registry.id,
    ]);
  }
}

/** Under this name Postgres knows the connections. */
function named(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set('application_name', name);
  return url.href;
}

/** Passes the crash points around the commit of an attempt's end. */
class ObservedFinishing extends Finishing {
  readonly #reach: Reach;

  constructor(options: FinishingOptions, reach: Reach) {
    super(options);
    this.#reach = reach;
  }

  override async finish(item: Finish): Promise<Finished> {
    const reach = (point: CrashPoint) => this.#reach(item.jobId, point);
    await reach('before-commit');
    const finished = await super.finish(item);
    await reach('after-commit');
    return finished;
  }
}
