import type { Clock } from '../../platform/clock.js';
import { reachFaultPoint } from '../../platform/fault-points.js';
import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import { Conflation } from './conflation.js';
import type { Ephemeral } from '../contract.js';
import type { BatchResult, RoomBatch, RoomFanout } from './fanout.js';
import type { NotificationLog } from '../log/postgres-log.js';
import { PublishedMarks } from './published-marks.js';
import type { CommittedEntry, Publisher } from './publisher.js';
import { Pump, type Healed } from './pump.js';

export interface PublisherDeps {
  readonly log: NotificationLog;
  readonly fanout: RoomFanout;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Entries given and not yet answered for; more are left to the sweeper, or a frozen Redis would fill the memory. */
const maxInFlight = 20_000;
/** Two finishing transactions of one room may reach their publishers in either order; the other is a few milliseconds away. */
const patienceMs = 10;

/**
 * Publishes in seq order per room. A turn of the event loop's entries travel together.
 *
 *     publish ─▶ in order? ─▶ sent ─▶ mark (publishedSeq, later)
 *                   │ gap, warm: once more after `patienceMs`
 *                   └ gap, cold or again: pump, from Postgres
 *
 * Whatever fails is counted and left alone: the sweeper finds it in Postgres.
 */
export class OrderedPublisher implements Publisher {
  readonly #deps: PublisherDeps;
  readonly #marks: PublishedMarks;
  readonly #pump: Pump;
  readonly #conflation: Conflation;
  readonly #sending = new Set<Promise<void>>();
  #queue: CommittedEntry[] = [];
  #inFlight = 0;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
    this.#marks = new PublishedMarks(deps.log, deps.clock, (error) => this.#fail('mark', error));
    this.#pump = new Pump(deps.log, deps.fanout, this.#marks, deps.clock, {
      healed: (count) => deps.metrics.realtimeHealed.inc(count),
      failure: (error) => this.#fail('pump', error),
    });
    this.#conflation = new Conflation((room, frame) => this.#sendEphemeral(room, frame), deps.clock);
  }

  publish(entries: readonly CommittedEntry[]): void {
    if (entries.length === 0) return;
    if (this.#inFlight + entries.length > maxInFlight) return this.#fail('overloaded', undefined, entries.length);
    this.#inFlight += entries.length;
    if (this.#queue.length === 0) setImmediate(() => this.#flush());
    this.#queue.push(...entries);
  }

  ephemeral(room: string, frame: Ephemeral): void {
    this.#conflation.offer(room, frame);
  }

  /** Publishes from Postgres what is missing in these rooms. Rejects when Postgres or the fan-out is away. */
  heal(rooms: readonly string[]): Promise<Healed> {
    return this.#pump.heal(rooms);
  }

  /** Resolves when all that was given is published or given up, and the marks are written. */
  async drain(): Promise<void> {
    this.#conflation.flushAll();
    this.#flush();
    while (this.#sending.size > 0) await Promise.all(this.#sending);
    await this.#pump.idle();
    await this.#marks.flush();
  }

  #flush(): void {
    const entries = this.#queue;
    if (entries.length === 0) return;
    this.#queue = [];
    const batches = toBatches(entries);
    for (const { room } of batches) this.#conflation.flush(room);
    const sending = this.#send(batches).finally(() => {
      this.#inFlight -= entries.length;
      this.#sending.delete(sending);
    });
    this.#sending.add(sending);
  }

  async #send(batches: readonly RoomBatch[]): Promise<void> {
    const startedAt = this.#deps.clock.now();
    reachFaultPoint('publish.starting');
    const stopped = await this.#try(batches, startedAt);
    reachFaultPoint('publish.published');
    const patient = stopped.filter(({ result }) => result.top !== undefined).map(({ batch }) => batch);
    for (const { batch, result } of stopped) if (result.top === undefined) this.#pumpFor(batch, 'cold');
    if (patient.length === 0) return;
    await new Promise<void>((resolve) => void this.#deps.clock.after(patienceMs, resolve));
    for (const { batch } of await this.#try(patient, startedAt)) this.#pumpFor(batch, 'gap');
  }

  /** @returns the batches that met a gap */
  async #try(batches: readonly RoomBatch[], startedAt: number) {
    const results = await this.#deps.fanout.publish(batches).catch((error: unknown) => {
      this.#fail('away', error, batches.length);
      return [];
    });
    return batches.flatMap((batch, index) => {
      const result = results[index];
      if (result === undefined) return [];
      this.#account(batch, result, startedAt);
      return result.outcome === 'gap' ? [{ batch, result }] : [];
    });
  }

  #account({ room, epoch }: RoomBatch, result: BatchResult, startedAt: number): void {
    if (result.outcome === 'failed') return this.#fail('error', result.error);
    if (result.top !== undefined) this.#marks.note(room, { epoch, seq: result.top });
    if (result.fresh === 0) return;
    const { metrics, clock } = this.#deps;
    metrics.websocketMessages.inc({ event: 'notification' }, result.fresh);
    const kind = { room_kind: room.startsWith('r:') ? 'request' : 'user' };
    metrics.websocketBroadcastDuration.observe(kind, (clock.now() - startedAt) / 1_000);
  }

  #pumpFor({ room }: RoomBatch, reason: 'cold' | 'gap'): void {
    this.#deps.metrics.publishFailures.inc({ reason });
    this.#pump.want(room);
  }

  #sendEphemeral(room: string, frame: Ephemeral): void {
    if (this.#deps.fanout.ephemeral(room, frame)) this.#deps.metrics.websocketMessages.inc({ event: frame.event });
  }

  #fail(reason: string, error: unknown, count = 1): void {
    this.#deps.metrics.publishFailures.inc({ reason }, count);
    this.#deps.logger.debug({ err: error, reason }, 'a publish was left to the sweeper');
  }
}

function toBatches(entries: readonly CommittedEntry[]): RoomBatch[] {
  const rooms = Map.groupBy(entries, ({ room, epoch }) => `${room} ${epoch}`);
  return Array.from(rooms.values(), (group) => {
    const [{ room, epoch }] = group as [CommittedEntry, ...CommittedEntry[]];
    return { room, epoch, entries: group.toSorted((a, b) => a.seq - b.seq) };
  });
}
