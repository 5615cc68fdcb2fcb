import { sql as text } from 'kysely';
import type { LaneWatch } from '../dispatch/lanes.js';
import { JobAdministration } from '../execution/administration.js';
import type { Services } from '../features/services.js';
import { systemClock } from '../platform/clock.js';
import type { Database, Sql } from '../platform/database.js';
import { createAccepting, type Accepted, type Accepting, type Sent } from './accepting.js';
import { createLaneWatch, createServicesFor, openDatabase, type Build } from './build.js';
import { Probe, type CrashPoint, type Disturbances } from './crash-points.js';
import type { DatabaseServer } from './databases.js';
import { readRun, type Run } from './run.js';
import { surviveCrashes, type Check, type SurvivalOptions } from './survives-crashes.js';
import { TestClock } from './test-clock.js';
import { TestWorker } from './worker.js';

export interface AttemptReport {
  /** `early`: its time has not come by the kit's clock. `refused`: it has ended, or somebody else has it. */
  readonly outcome: 'completed' | 'retry' | 'dead' | 'cancelled' | 'interrupted' | 'crashed' | 'early' | 'refused';
  /** Until the job is due; 0 where it has ended. */
  readonly waitMs: number;
}

interface JobRow {
  readonly state: string;
  readonly generation: number;
  readonly fence: number;
  readonly failures: number;
  readonly waitMs: number;
}

export interface KitOptions {
  readonly build: Build;
  readonly server: DatabaseServer;
  readonly url: string;
  /** At the kit's end, when its database is dropped. */
  readonly onEnd?: () => Promise<void>;
}

/** Attempts after which a run is taken for one that never ends. */
const maxAttempts = 100;

/**
 * Handlers on a real database, through the real acceptor, claims, executor and finishing, but without a queue: a test says when
 * an attempt happens, when the time comes, and where a process dies.
 */
export class TestKit {
  readonly clock = new TestClock();
  /** The kit's own services, for arranging and for looking; handlers get those of their process. */
  readonly services: Services;
  readonly database: Database;
  readonly #options: KitOptions;
  readonly #accepting: Accepting;
  readonly #administration: JobAdministration;
  readonly #laneWatch: LaneWatch;
  readonly #probes = new Map<string, Probe>();
  #worker: Promise<TestWorker> | undefined;
  #shiftedMs = 0;

  readonly #probeOf = (eventId: string): Probe => {
    const known = this.#probes.get(eventId) ?? new Probe();
    this.#probes.set(eventId, known);
    return known;
  };

  constructor(options: KitOptions) {
    const { build, url } = options;
    this.#options = options;
    this.database = openDatabase(url, build, 5);
    this.services = createServicesFor(build, this.database, this.clock);
    this.#accepting = createAccepting(build, this.database, systemClock);
    this.#laneWatch = createLaneWatch(build, this.database);
    this.#administration = new JobAdministration({
      database: this.database,
      publisher: { publish: () => undefined, ephemeral: () => undefined },
      onRunnable: () => undefined,
    });
  }

  /** The database, for asserting effects. */
  get sql(): Sql {
    return this.database.sql;
  }

  get metrics(): Build['metrics'] {
    return this.#options.build.metrics;
  }

  /** Where the default storage keeps its files. */
  get storageDirectory(): string {
    return this.#options.build.storageDirectory;
  }

  /** Appends an event; its job waits until `attempt` or `runToEnd`. */
  async accept(userId: string, sent: Sent): Promise<Accepted> {
    await this.#applyClock();
    const { runAt, ...event } = sent;
    if (runAt === undefined) return this.#accepting.accept(userId, event);
    // Postgres' time is behind the kit's.
    const real = new Date(Date.parse(runAt) - this.clock.advancedMs).toISOString();
    return this.#accepting.accept(userId, { ...event, runAt: real });
  }

  /**
   * Accepts an event and attempts it until its job has ended, through retries and crashes; the clock is put forward over the
   * waits between them.
   * @throws Error where a disturbance never came about (no such step), or the job never ends.
   */
  async run(userId: string, sent: Sent, disturbances: Disturbances = {}): Promise<Run> {
    const { eventId } = await this.accept(userId, sent);
    return this.runToEnd(eventId, disturbances);
  }

  /** As `run`, for an event that is there already: accepted, emitted by another handler, replayed. */
  async runToEnd(eventId: string, disturbances: Disturbances = {}): Promise<Run> {
    this.disturb(eventId, disturbances);
    for (let made = 0; made < maxAttempts; made++) {
      const { outcome, waitMs } = await this.attempt(eventId);
      if (outcome === 'refused' || outcome === 'completed' || outcome === 'dead' || outcome === 'cancelled') {
        return this.#ended(eventId);
      }
      this.clock.advance(waitMs);
    }
    throw new Error(`job ${eventId} has not ended after ${maxAttempts} attempts`);
  }

  /** What is to be done to the next attempts, as the last argument of `run` says it. */
  disturb(eventId: string, disturbances: Disturbances): void {
    this.#probeOf(eventId).plan(disturbances);
  }

  /** One attempt, where the job is due by the kit's clock. */
  async attempt(eventId: string, options: { readonly signal?: AbortSignal } = {}): Promise<AttemptReport> {
    const { signal = new AbortController().signal } = options;
    await this.#applyClock();
    await this.#laneWatch.runOnce();
    const before = await this.#readJob(eventId);
    const how = await this.#attempt(eventId, before.generation, signal);
    const after = await this.#readJob(eventId);
    const waitMs = isWaiting(after) ? after.waitMs : 0;
    return { outcome: how === 'crashed' ? 'crashed' : outcomeOf(before, after), waitMs };
  }

  /** What has become of an event's job so far. */
  async report(eventId: string): Promise<Run> {
    return readRun(this.sql, eventId, this.#probeOf(eventId));
  }

  /**
   * Cancels what has not begun of a request.
   * @throws SynapError job_state_conflict
   */
  async cancel(requestId: string): Promise<void> {
    const jobs = await this.sql.selectFrom('jobs').select('id').where('requestId', '=', requestId).execute();
    if (jobs.length === 0) throw new Error(`there is no request ${requestId}`);
    for (const { id } of jobs) await this.#administration.cancel(id, { actor: 'test' });
  }

  /**
   * As an operator's replay of a dead letter, run to its end: `resume` keeps the steps, `restart` drops them.
   * @throws SynapError job_state_conflict where the job is not dead
   */
  async replay(eventId: string, mode: 'resume' | 'restart', disturbances: Disturbances = {}): Promise<Run> {
    await this.#administration.replay(eventId, { mode, actor: 'test' });
    return this.runToEnd(eventId, disturbances);
  }

  /**
   * Runs the event once undisturbed, then once for each point where its process can die, each time on a copy of this kit's
   * database as it is now, and holds that the end is the same: outcome, result, emitted events, notifications, recorded steps
   * and every row of the features' tables; and that another delivery of the job changes nothing. Ids and times that a run makes
   * up are not compared. What a service did outside the database is for `check` to see. Nothing else may use the database meanwhile.
   * @returns the points.
   * @throws Error that names the point and what was different.
   */
  async survivesCrashes(
    userId: string,
    event: Sent,
    check?: Check<TestKit>,
    options: SurvivalOptions<TestKit> = {},
  ): Promise<readonly CrashPoint[]> {
    const { server, url, build } = this.#options;
    await this.#stopWorker();
    const arrange = (copy: string) => new TestKit({ build, server, url: copy });
    return surviveCrashes({ server, url, arrange }, { userId, event, check, options });
  }

  /** Calls a read route as `userId`, its parameters validated as over HTTP. */
  async read(userId: string, path: string, { params = {}, query = {} }: { params?: object; query?: object } = {}) {
    const reads = this.#options.build.features.flatMap((feature) => feature.reads);
    const read = reads.find((candidate) => candidate.path === path);
    if (read === undefined) throw new Error(`no read route ${path}`);
    const { database } = this;
    return read.run({ userId, params: read.params.parse(params), query: read.query.parse(query), database });
  }

  /** The points that the event's attempts have passed. */
  crashPointsOf(eventId: string): readonly CrashPoint[] {
    return [...this.#probeOf(eventId).reached];
  }

  /** Closes its connections and drops its database. */
  async end(): Promise<void> {
    await this.#stopWorker();
    await this.database.close();
    const { server, url, onEnd } = this.#options;
    await server.drop(url);
    await onEnd?.();
  }

  /** What is to crash has a process of its own: others that run at the same time are not blamed. */
  async #attempt(eventId: string, generation: number, signal: AbortSignal): Promise<'ended' | 'crashed'> {
    if (!this.#probeOf(eventId).isToCrash) return (await this.#sharedWorker()).attempt(eventId, generation, signal);
    const doomed = await this.#startWorker();
    try {
      return await doomed.attempt(eventId, generation, signal);
    } finally {
      await doomed.stop();
    }
  }

  #sharedWorker(): Promise<TestWorker> {
    return (this.#worker ??= this.#startWorker());
  }

  #startWorker(): Promise<TestWorker> {
    const { build, url } = this.#options;
    const probeOf = this.#probeOf;
    return TestWorker.start({ build, url, clock: this.clock, probeOf, observer: this.database.pool });
  }

  async #stopWorker(): Promise<void> {
    const worker = await this.#worker;
    this.#worker = undefined;
    await worker?.stop();
  }

  async #ended(eventId: string): Promise<Run> {
    const probe = this.#probeOf(eventId);
    const run = await this.report(eventId);
    if (run.outcome === 'unfinished') throw new Error(`job ${eventId} cannot be claimed: somebody else has it`);
    if (probe.missed.length > 0) {
      const passed = [...probe.reached].join(', ');
      throw new Error(`the attempts of ${eventId} never came to ${probe.missed.join(', ')}; they passed ${passed}`);
    }
    return run;
  }

  /** Postgres compares `runAt` with its own time, so what the clock was put forward is taken from all that wait. */
  async #applyClock(): Promise<void> {
    const ms = this.clock.advancedMs - this.#shiftedMs;
    if (ms === 0) return;
    this.#shiftedMs += ms;
    await text`UPDATE jobs SET "runAt" = "runAt" - ${ms} * interval '1 millisecond'
               WHERE state IN ('scheduled', 'queued')`.execute(this.sql);
  }

  async #readJob(eventId: string): Promise<JobRow> {
    const { rows } = await text<JobRow>`
      SELECT state, generation, fence, failures, ceil(greatest(0, extract(epoch FROM "runAt" - now()) * 1000))::int AS "waitMs"
      FROM jobs WHERE id = ${eventId}`.execute(this.sql);
    const [row] = rows;
    if (row === undefined) throw new Error(`event ${eventId} has no job: its type has no handler among the features`);
    return row;
  }
}

const isWaiting = ({ state }: JobRow): boolean => state === 'scheduled' || state === 'queued';

function outcomeOf(before: JobRow, after: JobRow): AttemptReport['outcome'] {
  if (after.fence === before.fence) return isWaiting(before) && before.waitMs > 0 ? 'early' : 'refused';
  switch (after.state) {
    case 'completed':
    case 'dead':
    case 'cancelled':
      return after.state;
    default:
      return after.failures > before.failures ? 'retry' : 'interrupted';
  }
}
