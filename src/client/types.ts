import type { SynapClientError } from './errors.js';
import type { Pong, ResetReason, RoomHead, WireDelta, WireNotification, WireProgress } from '../realtime/contract.js';

/** The public face of `synap/client`: everything that a page, a React hook or a Node program uses of it. */

/**
 * `connecting` before the first connection, `reconnecting` after a loss, `offline` where the attempts are used up or the device says
 * that it has no network (slow retries go on), `signed-out` where the server does not take the token, `closed` after `close()`.
 */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'offline' | 'signed-out' | 'closed';

/** Asked before each connection, and again a while before the token ends: give a fresh one then. */
export type TokenProvider = () => string | Promise<string>;

export interface ReconnectOptions {
  /** Before the slow retries begin. 10 */
  readonly attempts?: number;
  /** Of the first attempt, doubled at each, with jitter. 1,000 ms */
  readonly delayMs?: number;
  readonly maxDelayMs?: number;
  /** After the attempts, until `online` or the page's visibility brings it forward. 60,000 ms */
  readonly slowRetryMs?: number;
}

export interface SynapClientOptions {
  /** `https://synap.example.com`; in a browser the page's own origin where left out. */
  readonly url?: string;
  readonly token: string | TokenProvider;
  /**
   * The token's user, where the page knows it before the first token is there: what is sent until then survives a reload too.
   * Another user's token signs the client out.
   */
  readonly userId?: string;
  readonly device?: { readonly id?: string; readonly name?: string };
  readonly reconnect?: ReconnectOptions;
  /** `socket` and `stream` force one; `auto` (default) goes to the stream (SSE) where sockets do not come through. */
  readonly transport?: 'auto' | 'socket' | 'stream';
  /** One connection for all tabs of this origin and token's user, where the platform has Web Locks and BroadcastChannel. Default: true in browsers. */
  readonly shared?: boolean;
  /** Tells the server what has reached this device (`deliveredAt`). Default: true. */
  readonly acknowledge?: boolean;
  /** Keeps unsent events over a reload, by user. Default: `localStorage` in browsers, memory elsewhere. */
  readonly storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
}

/**
 * What `POST /v1/events` takes, `requestId` made by the client where left out. The same event under the same request id is one
 * event however often it is sent; another one under it is a second event of that request.
 */
export interface OutgoingEvent {
  readonly type: string;
  readonly data: unknown;
  readonly requestId?: string;
  /** The id of what is made or changed. */
  readonly aggregateId?: string;
  readonly priority?: 'high' | 'normal' | 'low';
  readonly runAt?: string;
}

export interface Accepted {
  readonly eventId: string;
  readonly requestId: string;
  readonly correlationId: string;
}

export interface Sent {
  readonly requestId: string;
  /**
   * Resolves with the 202, also after any time offline; rejects with a SynapClientError where the event is refused for good. A token
   * that is refused refuses no event: it waits until the user is signed in again. `blocked`: for five minutes somebody between answered it with a 4xx of
   * their own while Synap itself could be heard; sending it once more under the same request id makes no second event.
   */
  readonly accepted: Promise<Accepted>;
}

/** One request as a page shows it: a value that is replaced and never changed in place. */
export interface RequestState {
  readonly requestId: string;
  readonly status: 'sending' | 'accepted' | 'processing' | 'completed' | 'failed' | 'cancelled';
  readonly percent: number;
  readonly message: string | undefined;
  /** What is being streamed, as far as it has come; the durable notification at the end replaces it. */
  readonly text: string;
  /** The `data` of what ended it. */
  readonly result: WireNotification['data'] | undefined;
  readonly error: { readonly code: string; readonly message: string } | undefined;
  /** All that came to its room, broadcasts too, in order; after a reset, what has come since. */
  readonly notifications: readonly WireNotification[];
}

/**
 * What ended a request: its notification, or, where that is not to be had any more, what the server says of it, with the types `request.completed`,
 * `request.failed` and `request.cancelled`, and no `id`, `room`, `seq` and `epoch`.
 */
export type RequestEnd = Partial<WireNotification> &
  Pick<WireNotification, 'type' | 'status' | 'data' | 'timestamp' | 'eventId' | 'error'>;

/** A value that changes: `get` answers the same object until it has changed, so React's useSyncExternalStore takes it as it is. */
export interface Observable<T> {
  get(): T;
  /** @returns what ends it */
  subscribe(listener: () => void): () => void;
}

export interface RoomListeners {
  /** In order, once. */
  readonly onNotification?: (notification: WireNotification) => void;
  readonly onProgress?: (progress: WireProgress) => void;
  /** Only whole text: pieces are put in order and repeated ones dropped. `text` is all of it so far. */
  readonly onText?: (text: { readonly requestId: string; readonly eventId: string; readonly text: string }) => void;
  /** What was missed is not to be had any more, or the room is heard for the first time: load what is shown (anew). */
  readonly onReset?: (reason: ResetReason | 'first') => void;
}

export interface Subscription {
  readonly room: string;
  /** Resolves when the room is heard; rejects where the server refuses it. */
  readonly ready: Promise<RoomHead>;
  unsubscribe(): void;
}

/** Where to begin in a room that was never heard: with what comes from now on, or with all that is stored. */
export type Start = 'now' | 'beginning' | RoomHead;

export interface ClientEvents {
  state: (state: ConnectionState) => void;
  /** Of whatever room, each notification once though it goes to two rooms. */
  notification: (notification: WireNotification) => void;
  progress: (progress: WireProgress) => void;
  delta: (delta: WireDelta) => void;
  pong: (pong: Pong) => void;
  error: (error: Error) => void;
}

/** @see createSynapClient */
export interface SynapClient {
  readonly state: Observable<ConnectionState>;
  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void;
  /** Any number of subscriptions of one room share one; the last one that ends leaves it. Names: user_<userId>, request_<requestId>. */
  subscribe(room: string, listeners?: RoomListeners, start?: Start): Subscription;
  /** Subscribes to the request's room first, then posts with an Idempotency-Key; repeated until it is answered. */
  send(event: OutgoingEvent): Sent;
  /** Events that are not answered yet. */
  readonly unsent: Observable<number>;
  /**
   * Why the first of them is not through, and with it the others: `unreachable` (no answer), `unavailable` (429, 5xx), `blocked` (somebody between
   * answers in Synap's place), or the refusal of the token. Undefined where nothing is held. All are tried again, see `Sent.accepted`.
   */
  readonly held: Observable<SynapClientError | undefined>;
  /** The state of one request; subscribes to its room while anybody listens. */
  request(requestId: string): Observable<RequestState>;
  /**
   * Resolves with what ends the request: success, error, or that it was cancelled. One that does not exist yet is waited for. Rejects only with
   * the signal, after `close`, or where the room is refused.
   */
  waitFor(requestId: string, options?: { readonly signal?: AbortSignal }): Promise<RequestEnd>;
  readonly notifications: NotificationsApi;
  /** Connects now, and not when the back-off would have come to it. */
  reconnect(): void;
  close(): void;
}

/** A stored notification and what became of it. Times are ISO 8601 or null. */
export interface StoredNotification extends WireNotification {
  readonly deliveredAt: string | null;
  readonly seenAt: string | null;
}

export interface NotificationPage {
  /** Newest first, or oldest first with `after`. */
  readonly items: readonly StoredNotification[];
  readonly head: RoomHead & { readonly room: string };
  /** Not seen, among the newest 1,000 of the room. */
  readonly unread: number;
  /** The next page: `before` (or `after`) of the next call. */
  readonly next: number | null;
}

/** `GET /v1/notifications` and `POST /v1/notifications/seen`. Without `room` it is the user's own. */
export interface NotificationsApi {
  list(options?: {
    readonly room?: string;
    readonly after?: number;
    readonly before?: number;
    readonly limit?: number;
    readonly unread?: boolean;
  }): Promise<NotificationPage>;
  markSeen(what: { readonly ids: readonly string[] } | { readonly room?: string; readonly upTo: number }): Promise<{
    readonly seen: number;
    readonly unread: number;
  }>;
}

/** A fault in a body that was refused: its path, such as `data.title`. */
export interface FieldFault {
  readonly path: string;
  readonly message: string;
}
