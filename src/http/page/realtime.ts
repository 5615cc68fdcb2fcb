import { io, type Socket } from '/socket.io/socket.io.esm.min.js';
import type {
  ClientToServerEvents,
  Pong,
  Refused,
  RoomHead,
  ServerToClientEvents,
  Subscribed,
  WireDelta,
  WireNotification,
  WireProgress,
} from '../../realtime/contract.js';
import { RoomLog, type Outcome } from './core/room-log.js';
import type { Connection } from './core/state.js';

/** What the page does with what it hears. */
export interface Listener {
  onConnection(connection: Connection): void;
  onNotification(notification: WireNotification): void;
  onProgress(progress: WireProgress): void;
  onDelta(delta: WireDelta): void;
  /** A room is heard for the first time, or more was missed than the server still has: (re)load what it keeps true. */
  onStale(room: string): void;
  /** The server does not take this token (any more). */
  onSignedOut(): void;
}

/** This page always asks for the acknowledgement. */
type Outgoing = Omit<ClientToServerEvents, 'ping'> & { ping(ack: (pong: Pong) => void): void };

const ackTimeoutMs = 5_000;
const slowRetryMs = 30_000;
const pingMs = 30_000;
const beginning: RoomHead = { epoch: null, seq: 0 };

/** Where a room that was never heard starts: with all it has, or with its newest few. */
type Start = 'beginning' | { readonly recent: number };

interface Heard {
  readonly log: RoomLog;
  readonly start: Start;
}

/** One connection for the tab. Rooms stay subscribed over reconnects and go on where they were. */
export class Realtime {
  readonly #listener: Listener;
  readonly #rooms = new Map<string, Heard>();
  readonly #socket: Socket<ServerToClientEvents, Outgoing>;
  readonly #closing = new AbortController();

  constructor(token: string, listener: Listener) {
    this.#listener = listener;
    this.#socket = io({
      auth: { token },
      reconnectionAttempts: 10,
      reconnectionDelay: 1_000,
      reconnectionDelayMax: 60_000,
    });
    this.#handleConnection();
    this.#handleMessages();
    const pings = setInterval(() => void this.#checkTails(), pingMs);
    this.#closing.signal.addEventListener('abort', () => clearInterval(pings));
  }

  /**
   * Resolves once the room is heard, or at once while there is no connection: it is then subscribed with the next one, from
   * where it starts, so nothing is lost.
   */
  async listen(room: string, start: Start): Promise<void> {
    if (this.#rooms.has(room)) return;
    this.#rooms.set(room, { log: new RoomLog(), start });
    if (this.#socket.connected) await this.#join(room);
  }

  leave(room: string): void {
    if (!this.#rooms.delete(room) || !this.#socket.connected) return;
    this.#socket.emit('unsubscribe', { room }, () => undefined);
  }

  close(): void {
    this.#closing.abort();
    this.#socket.disconnect();
  }

  async #join(room: string): Promise<void> {
    const heard = this.#rooms.get(room);
    if (heard === undefined) return;
    heard.log.joining();
    try {
      const answer = await this.#subscribe(room, heard.log.head ?? (await this.#startOf(room, heard.start)));
      if (answer.ok) this.#apply(room, heard.log.joined(answer));
      else this.#rooms.delete(room);
    } catch {
      // Cut off before the answer: the next connection subscribes again, from the same place.
    }
  }

  async #startOf(room: string, start: Start): Promise<RoomHead> {
    if (start === 'beginning') return beginning;
    const newest = await this.#subscribe(room);
    return newest.ok ? { epoch: newest.epoch, seq: Math.max(0, newest.seq - start.recent) } : beginning;
  }

  #subscribe(room: string, since?: RoomHead): Promise<Subscribed | Refused> {
    const { promise, resolve, reject } = Promise.withResolvers<Subscribed | Refused>();
    this.#socket
      .timeout(ackTimeoutMs)
      .emit('subscribe', { room, ...(since && { since }) }, (late: Error | null, answer) =>
        late === null ? resolve(answer) : reject(late),
      );
    return promise;
  }

  /** The last frame before a silence can be lost without a gap to show it; the heads in the pong do. */
  async #checkTails(): Promise<void> {
    if (!this.#socket.connected) return;
    const { promise, resolve } = Promise.withResolvers<Pong['heads']>();
    this.#socket
      .timeout(ackTimeoutMs)
      .emit('ping', (late: Error | null, pong) => resolve(late === null ? pong.heads : {}));
    for (const [room, newest] of Object.entries(await promise)) {
      if (this.#rooms.get(room)?.log.isBehind(newest) === true) await this.#join(room);
    }
  }

  #apply(room: string, outcome: Outcome): void {
    if (outcome.stale) this.#listener.onStale(room);
    for (const notification of outcome.apply) this.#listener.onNotification(notification);
    if (outcome.resync) void this.#join(room);
  }

  #handleMessages(): void {
    this.#socket.on('notification', (notification) => {
      const heard = this.#rooms.get(notification.room);
      if (heard !== undefined) this.#apply(notification.room, heard.log.live(notification));
    });
    this.#socket.on('progress', (progress) => this.#listener.onProgress(progress));
    this.#socket.on('delta', (delta) => this.#listener.onDelta(delta));
    this.#socket.on('check', () => void this.#checkTails());
    this.#socket.on('closing', ({ code }) => code === 'token_expired' && this.#listener.onSignedOut());
  }

  #handleConnection(): void {
    const { signal } = this.#closing;
    const say = (connection: Connection) => this.#listener.onConnection(connection);
    this.#socket.on('connect', () => {
      say('connected');
      for (const room of this.#rooms.keys()) void this.#join(room);
    });
    this.#socket.on('disconnect', (reason) => {
      for (const { log } of this.#rooms.values()) log.joining();
      if (signal.aborted) return;
      say(navigator.onLine ? 'reconnecting' : 'offline');
      // Socket.IO leaves it at that where the server ended the connection; a server that drains does so too.
      if (reason === 'io server disconnect') this.#retryIn(1_000);
    });
    this.#socket.on('connect_error', (error: Error & { data?: { code?: string } }) => {
      const code = error.data?.code;
      if (code === 'unauthenticated' || code === 'token_invalid' || code === 'token_expired')
        this.#listener.onSignedOut();
      else if (!this.#socket.active) this.#retryIn(slowRetryMs);
    });
    this.#socket.io.on('reconnect_failed', () => {
      say('offline');
      this.#retryIn(slowRetryMs);
    });
    addEventListener('offline', () => say('offline'), { signal });
    addEventListener('online', () => this.#retry(), { signal });
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#retry(), {
      signal,
    });
  }

  #retryIn(delayMs: number): void {
    const timer = setTimeout(() => this.#retry(), delayMs);
    this.#closing.signal.addEventListener('abort', () => clearTimeout(timer));
  }

  /** Now, and not when the back-off would have come to it; harmless while connected. */
  #retry(): void {
    if (this.#socket.connected) this.#listener.onConnection('connected');
    else this.#socket.disconnect().connect();
  }
}
