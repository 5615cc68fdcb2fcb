import type { Clock } from '../../platform/clock.js';
import type { Metrics } from '../../platform/metrics.js';
import { subscribeRequest, unsubscribeRequest, type Pong, type RoomHead, type Subscribed } from '../contract.js';
import { parse, SocketError } from './socket-error.js';
import type { RealtimeSocket } from '../io.js';
import type { NotificationLog } from '../log/postgres-log.js';
import { ReadTurns } from '../reading/read-turns.js';
import type { RoomReader } from '../reading/room-reader.js';
import { isRoomKey, parseRoomKey, resolveRoom, roomKey, wireName, type Room } from '../rooms.js';
import { bufferedBytes } from './slow-consumers.js';

export interface SubscriptionDeps {
  readonly log: Pick<NotificationLog, 'heads'>;
  readonly reader: RoomReader;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Rooms that one socket may be in, beside its user's. */
  readonly subscriptions: number;
  /** What may wait unsent for one socket; while it is more, nothing is read for it. */
  readonly bufferBytes: number;
}

/** The rooms of one connected socket. What a method throws is the refusal that the client gets. */
export class Subscriptions {
  readonly #deps: SubscriptionDeps;
  readonly #socket: RealtimeSocket;
  /** While it reads: between its reads a connection keeps nothing for them. */
  #turns: ReadTurns | undefined;
  /** Whether this connection has said what it had before: then it replaces one that was lost. */
  #isResumed = false;

  constructor(socket: RealtimeSocket, deps: SubscriptionDeps) {
    this.#deps = deps;
    this.#socket = socket;
  }

  /** With the socket: what waits is let go. */
  close(): void {
    this.#turns?.close();
  }

  /** Join first, read second (`RoomReader`); only the reading waits its turn, so that joins and leaves keep their order. */
  async subscribe(message: unknown): Promise<Subscribed> {
    const { room: name, since, paged } = parse(subscribeRequest, message);
    const room = this.resolve(name);
    const key = roomKey(room);
    this.#checkLimit(key);
    if (since !== undefined) this.#noteResume();
    await this.#socket.join(key);
    const answer = await this.#inTurn(() => this.#deps.reader.read({ room: key, since, paged }));
    if (answer === undefined) throw new SocketError('unavailable', 'The connection has ended');
    return { ok: true, room: name, ...answer };
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

  /** @returns undefined where the socket has ended before its turn */
  async #inTurn<T>(read: () => Promise<T>): Promise<T | undefined> {
    const { conn, connected } = this.#socket;
    if (!connected) return undefined;
    const { clock, bufferBytes } = this.#deps;
    const turns = (this.#turns ??= new ReadTurns({ clock, isFull: () => bufferedBytes(conn) > bufferBytes }));
    try {
      return await turns.take(read);
    } finally {
      if (turns.isIdle && this.#turns === turns) this.#turns = undefined;
    }
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
