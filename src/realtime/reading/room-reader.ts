import type { Clock } from '../../platform/clock.js';
import type { Metrics } from '../../platform/metrics.js';
import type { ResetReason, Subscribed, SubscribeRequest } from '../contract.js';
import { toWire } from '../publishing/fanout.js';
import type { NotificationLog, RoomPage } from '../log/postgres-log.js';
import type { Recent, RecentRooms } from './recent.js';

export interface RoomReaderDeps {
  readonly log: Pick<NotificationLog, 'replay'>;
  readonly recent: RecentRooms;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** How long notifications are kept; an empty room may have lived and gone within it. */
  readonly notificationsLastMs: number;
}

export interface RoomQuestion {
  /** Inside key. Whoever asks listens to it already (join before read). */
  readonly room: string;
  readonly since?: SubscribeRequest['since'];
  readonly paged?: boolean | undefined;
}

export type RoomAnswer = Omit<Subscribed, 'ok' | 'room'>;

type Since = NonNullable<SubscribeRequest['since']>;

/** What clocks of replicas may differ by. */
const clockSkewMs = 60_000;

/**
 * Answers a reader who comes (back) to a room with all that it has missed, or says that this is not to be had.
 *
 *     since ─▶ tail has it all ─▶ hot
 *           └▶ Postgres ─▶ complete ─▶ cold
 *                       └▶ another epoch, or too long ago ─▶ reset
 *
 * Join first, read second: what is committed in between arrives live, maybe before the answer, and again in the answer. The reader
 * waits with what is live until it has the answer; the other way round it would be lost.
 */
export class RoomReader {
  readonly #deps: RoomReaderDeps;

  constructor(deps: RoomReaderDeps) {
    this.#deps = deps;
  }

  /** @throws SynapError `unavailable` where Postgres is needed and away */
  async read({ room, since, paged }: RoomQuestion): Promise<RoomAnswer> {
    const { recent, metrics, clock } = this.#deps;
    const at = new Date(clock.now()).toISOString();
    const have = since !== undefined && since.epoch !== null ? { epoch: since.epoch, seq: since.seq } : undefined;
    const known = recent.read(room, have);
    if (have === undefined) {
      const [page, { streams } = nothing] = await Promise.all([this.#page(room, since), known]);
      return this.#cold({ at, ...withStreams(streams) }, since, page, paged);
    }
    const { tail, prove, streams } = (await known) ?? nothing;
    const base = { at, ...withStreams(streams) };
    if (tail === undefined) {
      const page = await this.#page(room, since);
      if (page?.epoch === have.epoch) prove?.(page.lastSeq);
      return this.#cold(base, since, page, paged);
    }
    metrics.realtimeRecoveries.inc({ path: 'hot' });
    return { ...base, epoch: have.epoch, seq: tail.top, recovered: true, notifications: [...tail.notifications] };
  }

  #page(room: string, since: Since | undefined): Promise<RoomPage | undefined> {
    return this.#deps.log.replay({
      room,
      epoch: since?.epoch ?? undefined,
      after: since?.seq ?? Number.MAX_SAFE_INTEGER,
    });
  }

  #cold(
    base: Pick<RoomAnswer, 'at' | 'streams'>,
    since: Since | undefined,
    page: RoomPage | undefined,
    paged: boolean | undefined,
  ): RoomAnswer {
    const head = { ...base, epoch: page?.epoch ?? null, seq: page?.lastSeq ?? 0 };
    if (since === undefined) return { ...head, recovered: false, notifications: [] };
    const missed = this.#missed(since, page, paged === true);
    const isReset = typeof missed === 'string';
    this.#deps.metrics.realtimeRecoveries.inc({ path: isReset ? 'reset' : 'cold' });
    if (isReset) return { ...head, recovered: false, reset: missed, notifications: [] };
    return { ...head, recovered: true, ...missed };
  }

  #missed(
    since: Since,
    page: RoomPage | undefined,
    paged: boolean,
  ): Pick<RoomAnswer, 'notifications' | 'hasMore'> | ResetReason {
    // A room that did not exist when the reader looked starts at 1 in its first epoch, unless another was there in between.
    if (since.epoch === null && this.#isForgotten(since)) return 'too_old';
    if (page === undefined) return since.epoch === null ? { notifications: [] } : 'too_old';
    if (since.epoch !== null && since.epoch !== page.epoch) return 'epoch_changed';
    const { entries, lastSeq } = page;
    // Numbers that the reader has and Postgres does not: this is the log of an older backup.
    if (since.seq > lastSeq) return 'epoch_changed';
    const isUnbroken = entries.every((entry, index) => entry.seq === since.seq + index + 1);
    if (!isUnbroken || (entries.length === 0 && since.seq < lastSeq)) return 'too_old';
    const hasMore = since.seq + entries.length < lastSeq;
    if (hasMore && !paged) return 'too_old';
    return { notifications: entries.map(toWire), ...(paged && { hasMore }) };
  }

  /** A request's room goes with its last notification: after so long, nothing there does not mean that nothing was. */
  #isForgotten({ at }: Since): boolean {
    const { clock, notificationsLastMs } = this.#deps;
    return at !== undefined && Date.parse(at) < clock.now() - notificationsLastMs + clockSkewMs;
  }
}

const nothing: Recent = { tail: undefined, streams: [] };

const withStreams = (streams: Recent['streams']): Pick<RoomAnswer, 'streams'> =>
  streams.length === 0 ? {} : { streams: [...streams] };
