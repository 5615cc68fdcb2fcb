import type { Clock } from '../platform/clock.js';
import type { Metrics } from '../platform/metrics.js';
import {
  subscribeRequest,
  unsubscribeRequest,
  type Pong,
  type RoomHead,
  type Subscribed,
  type WireNotification,
} from './contract.js';
import { toWire } from './fanout.js';
import { parse, SocketError } from './socket-error.js';
import type { RealtimeSocket } from './io.js';
import { pageSize, type NotificationLog, type RoomPage } from './postgres-log.js';
import { isRoomKey, parseRoomKey, resolveRoom, roomKey, wireName, type Room } from './rooms.js';

export interface SubscriptionDeps {
  readonly log: Pick<NotificationLog, 'replay' | 'heads'>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Rooms that one socket may be in, beside its user's. */
  readonly subscriptions: number;
}

/** The rooms of one connected socket. What a method throws is the refusal that the client gets. */
export class Subscriptions {
  readonly #deps: SubscriptionDeps;
  readonly #socket: RealtimeSocket;
  /** Whether this connection has said what it had before: then it replaces one that was lost. */
  #isResumed = false;

  constructor(socket: RealtimeSocket, deps: SubscriptionDeps) {
    this.#deps = deps;
    this.#socket = socket;
  }

  /**
   * Join first, read second: what is committed in between arrives live, maybe before the answer, and again in the answer. The
   * client waits with what is live until it has the answer; the other way round it would be lost.
   */
  async subscribe(message: unknown): Promise<Subscribed> {
    const { room: name, since } = parse(subscribeRequest, message);
    const room = this.resolve(name);
    const key = roomKey(room);
    this.#checkLimit(key);
    if (since !== undefined) this.#noteResume();
    await this.#socket.join(key);
    const page = await this.#deps.log.replay(
      since === undefined
        ? { room: key, epoch: undefined, after: Number.MAX_SAFE_INTEGER }
        : { room: key, epoch: since.epoch ?? undefined, after: since.seq },
    );
    const at = new Date(this.#deps.clock.now()).toISOString();
    return { ok: true, room: name, at, epoch: page?.epoch ?? null, seq: page?.lastSeq ?? 0, ...recover(since, page) };
  }

  async unsubscribe(message: unknown): Promise<{ ok: true; room: string }> {
    const { room } = parse(unsubscribeRequest, message);
    await this.#socket.leave(roomKey(this.resolve(room)));
    return { ok: true, room };
  }

  async pong(): Promise<Pong> {
    return {
      type: 'pong',
      timestamp: new Date(this.#deps.clock.now()).toISOString(),
      // Without heads the pong still says that the connection lives.
      heads: await this.#heads().catch(() => ({})),
    };
  }

  async #heads(): Promise<Record<string, RoomHead>> {
    const keys = [...this.#socket.rooms].filter(isRoomKey);
    const heads = await this.#deps.log.heads(keys);
    return Object.fromEntries(
      keys.map((key) => [wireName(parseRoomKey(key)), heads.get(key) ?? { epoch: null, seq: 0 }]),
    );
  }

  /** @throws SocketError `forbidden`, `invalid_room` */
  resolve(name: string): Room {
    const room = resolveRoom(name, this.#socket.data.identity.userId);
    if (room !== undefined) return room;
    if (name.startsWith('user_')) throw new SocketError('forbidden', 'This room belongs to another user');
    throw new SocketError('invalid_room', 'A room is user_<userId> or request_<requestId>');
  }

  #noteResume(): void {
    if (!this.#isResumed) this.#deps.metrics.websocketReconnects.inc();
    this.#isResumed = true;
  }

  #checkLimit(key: string): void {
    const { rooms } = this.#socket;
    // Two rooms come with the connection: the socket's own and its user's.
    if (!rooms.has(key) && rooms.size >= this.#deps.subscriptions + 2) {
      throw new SocketError('too_many_subscriptions', `A connection may be in ${this.#deps.subscriptions} rooms`);
    }
  }
}

/** All that came after `since`, if that is known to be all. */
function recover(
  since: RoomHead | undefined,
  page: RoomPage | undefined,
): Pick<Subscribed, 'recovered' | 'notifications'> {
  const missed = since === undefined ? undefined : missedSince(since, page);
  return { recovered: missed !== undefined, notifications: missed ?? [] };
}

function missedSince(since: RoomHead, page: RoomPage | undefined): WireNotification[] | undefined {
  if (page === undefined) return since.epoch === null ? [] : undefined;
  // A room that did not exist when the client looked starts at 1 in its first epoch: nothing was missed before that.
  if (since.epoch !== null && since.epoch !== page.epoch) return undefined;
  const { entries, lastSeq } = page;
  const isComplete = since.seq + entries.length === lastSeq && entries.length <= pageSize;
  const isUnbroken = entries.every((entry, index) => entry.seq === since.seq + index + 1);
  return isComplete && isUnbroken ? entries.map(toWire) : undefined;
}
