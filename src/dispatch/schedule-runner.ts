import type pg from 'pg';
import type { EventCatalogue } from '../events/catalogue.js';
import type { Schedule } from '../events/schedule.js';
import type { Append, EventStore } from '../events/store.js';
import type { Clock } from '../platform/clock.js';
import { runStatement } from '../platform/database.js';
import { SynapError, toError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';
import { presentEveryMs, statements, type ScheduleRow } from './schedule-statements.js';

export interface ScheduleRunnerOptions {
  readonly schedules: readonly Schedule[];
  readonly pool: pg.Pool;
  readonly store: Pick<EventStore, 'append'>;
  readonly catalogue: Pick<EventCatalogue, 'hasHandler' | 'laneOf'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What time it is; the database's clock by default, so that a fleet agrees. */
  readonly now?: () => Promise<Date>;
}

interface Served {
  readonly schedule: Schedule;
  readonly row: ScheduleRow;
}

/** A clock that was set back, or another process that took longer, is seen after this. */
const everyMs = 1_000;
/** A tick that is sent later than this was missed. */
const lateMs = 60_000;

/**
 * Sends the ticks of schedules, each as one event. Any number of processes may run one: a tick is sent under the lock of its
 * schedule's row, and recorded there. Dying between the two means that another sends it again, under the same id, which
 * appends nothing.
 *
 *     lastTickAt ── missed ──┬── due ──▶ now          missed: none, or the latest of them (`ifMissed`)
 *                       now - 60 s                    due: each
 */
export class ScheduleRunner {
  readonly #options: ScheduleRunnerOptions;
  readonly #periodic: Periodic;
  #isRegistered = false;

  constructor(options: ScheduleRunnerOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#periodic = new Periodic({ name: 'schedules', everyMs, run: () => this.runOnce(), clock, logger });
  }

  start(): void {
    if (this.#options.schedules.length > 0) this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Sends what is due. @returns milliseconds until the next tick. */
  async runOnce(): Promise<number> {
    const { schedules } = this.#options;
    const now = await this.#now();
    const served = await this.#register(now, this.#served(await this.#read()));
    const due = served.filter(({ schedule, row }) => schedule.ticks.next(row.lastTickAt) <= now);
    if (due.length > 0)
      await this.#send(
        due.map(({ schedule }) => schedule.name),
        now,
      );
    const next = schedules.map(({ ticks }) => ticks.next(now).getTime());
    return Math.min(...next) - now.getTime();
  }

  async #now(): Promise<Date> {
    const { pool, now } = this.#options;
    if (now !== undefined) return now();
    const [row] = await runStatement<{ now: Date }>(pool, statements.now, []);
    if (row === undefined) throw new Error('the database did not say its time');
    return row.now;
  }

  #read(): Promise<ScheduleRow[]> {
    const { schedules, pool } = this.#options;
    return runStatement<ScheduleRow>(pool, statements.read, [schedules.map(({ name }) => name)]);
  }

  /** Rows for what has none, and a sign of life in those that are served. */
  async #register(now: Date, served: readonly Served[]): Promise<readonly Served[]> {
    const { schedules, pool } = this.#options;
    const isOld = ({ row }: Served) => now.getTime() - row.updatedAt.getTime() > presentEveryMs;
    const old = served.filter(isOld).map(({ schedule }) => schedule.name);
    if (old.length > 0) await runStatement(pool, statements.present, [now, old]);
    const names = new Set(served.map(({ schedule }) => schedule.name));
    const others = schedules.filter(({ name }) => !names.has(name));
    if (others.length > 0) {
      await runStatement(pool, statements.adopt, [
        now,
        others.map(({ name }) => name),
        others.map(({ definition }) => definition),
        !this.#isRegistered,
      ]);
    }
    this.#isRegistered = true;
    return others.length === 0 ? served : this.#served(await this.#read());
  }

  /** A row of another cron or time zone belongs to another release, which serves it. */
  #served(rows: readonly ScheduleRow[]): Served[] {
    const byName = new Map(this.#options.schedules.map((schedule) => [schedule.name, schedule]));
    return rows.flatMap((row) => {
      const schedule = byName.get(row.name);
      return schedule?.definition === row.definition ? [{ schedule, row }] : [];
    });
  }

  /** The appends commit by themselves, in a batch with whatever else is appended; the lock is held meanwhile. */
  async #send(names: readonly string[], now: Date): Promise<void> {
    const client = await this.#options.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const taken = this.#served(await runStatement<ScheduleRow>(client, statements.take, [names]));
      const sent = await Promise.all(taken.map(({ schedule, row }) => this.#sendTicks(schedule, row, now)));
      reachFaultPoint('schedule.appended');
      const done = sent.flatMap((one) => one ?? []);
      await runStatement(client, statements.record, [now, done.map(({ name }) => name), done.map(({ tick }) => tick)]);
      await client.query('COMMIT');
    } catch (thrown) {
      broken = toError(thrown);
      throw thrown;
    } finally {
      // A connection in an unknown state is not given back; closing it ends its transaction.
      client.release(broken);
    }
  }

  /** @returns up to which tick this schedule is settled; undefined where it is not, and all is tried again. */
  async #sendTicks(schedule: Schedule, row: ScheduleRow, now: Date) {
    const { missed, due } = ticksBetween(schedule, row.lastTickAt, now);
    const { logger } = this.#options;
    const { name, ifMissed } = schedule;
    const latest = due.at(-1) ?? missed;
    if (latest === undefined) return undefined;
    if (missed !== undefined)
      logger.warn({ schedule: name, tick: missed, ifMissed }, 'ticks of a schedule were missed');
    const ticks = missed !== undefined && ifMissed === 'run once' ? [missed, ...due] : due;
    try {
      await Promise.all(ticks.map((tick) => this.#append(schedule, tick, row.seed)));
      return { name, tick: latest };
    } catch (thrown) {
      logger.warn({ err: toError(thrown), schedule: name }, 'a tick could not be sent and is tried again');
      return undefined;
    }
  }

  async #append(schedule: Schedule, tick: Date, seed: string): Promise<void> {
    const { store, catalogue, logger } = this.#options;
    const event = this.#eventAt(schedule, tick, seed);
    if (event === undefined) return;
    try {
      const lane = catalogue.laneOf(event.type, event.userId, event.aggregateId);
      await store.append({ ...event, handled: catalogue.hasHandler(schedule.type), lane });
      logger.info({ schedule: schedule.name, tick, eventId: event.id }, 'a tick of a schedule was sent');
    } catch (thrown) {
      // Sent before by a process that died, and since then the schedule's data is made in another way: sent is sent.
      if (!(thrown instanceof SynapError && thrown.code === 'event_id_taken')) throw thrown;
    }
  }

  /** Data that is not valid will not be at the next try: the tick is passed over, and said to be. */
  #eventAt(schedule: Schedule, tick: Date, seed: string): Omit<Append, 'handled' | 'lane'> | undefined {
    try {
      return schedule.eventAt(tick, seed);
    } catch (thrown) {
      this.#options.logger.error(
        { err: toError(thrown), schedule: schedule.name, tick },
        'a tick makes no valid event and is passed over',
      );
      return undefined;
    }
  }
}

/** `missed`: the latest tick that is too old to be sent as if nothing had been; `due`: those that are not, in order. */
function ticksBetween(
  { ticks }: Schedule,
  after: Date,
  now: Date,
): { readonly missed: Date | undefined; readonly due: Date[] } {
  const late = new Date(now.getTime() - lateMs);
  const missed = late > after ? ticks.last(after, late) : undefined;
  const due: Date[] = [];
  const from = late > after ? late : after;
  for (let tick = ticks.next(from); tick <= now; tick = ticks.next(tick)) due.push(tick);
  return { missed, due };
}
