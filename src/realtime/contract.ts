import type { Json } from '../platform/text.js';

/** What goes over the socket. Names and shapes are public: clients in any language rely on them (docs/web-client.md). */

export type NotificationStatus = 'success' | 'error' | 'pending';

/** Stored, numbered, delivered in order per room. `seq` counts from 1 without gaps within a room's `epoch`. */
export interface WireNotification {
  readonly id: string;
  readonly type: string;
  readonly data: Json;
  readonly status: NotificationStatus;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
  readonly requestId?: string;
  readonly error?: { readonly code: string; readonly message: string };
  /** Wire name: `user_<userId>` or `request_<requestId>`. */
  readonly room: string;
  readonly seq: number;
  readonly epoch: string;
}

/** Ephemeral: lost where nobody listens, always superseded by a durable notification. `percent` is 0 to 100. */
export interface WireProgress {
  readonly room: string;
  readonly requestId: string;
  readonly eventId: string;
  readonly percent: number;
  readonly message?: string;
  readonly timestamp: string;
}

/** Ephemeral text of a streaming answer; `offset` is the length, in UTF-16 units, of the text before `text`. */
export interface WireDelta {
  readonly room: string;
  readonly requestId: string;
  readonly eventId: string;
  readonly attempt: number;
  readonly offset: number;
  readonly text: string;
}

export interface RoomHead {
  readonly epoch: string | null;
  readonly seq: number;
}

export interface SubscribeRequest {
  readonly room: string;
  readonly since?: RoomHead;
}

/** A room without notifications has `epoch: null, seq: 0`. */
export interface Subscribed extends RoomHead {
  readonly ok: true;
  readonly room: string;
  readonly recovered: boolean;
  readonly notifications: readonly WireNotification[];
}

export interface Refused {
  readonly ok: false;
  readonly code: SocketErrorCode;
  readonly message: string;
}

export interface Pong {
  readonly type: 'pong';
  readonly timestamp: string;
  /** The newest seq of each room this socket is in, by wire name. */
  readonly heads: Readonly<Record<string, RoomHead>>;
}

/** `connect_error.data.code`, `disconnect` reasons and refused acknowledgements use these. */
export const socketErrorCodes = [
  'unauthenticated',
  'token_invalid',
  'token_expired',
  'forbidden',
  'invalid_room',
  'invalid_message',
  'too_many_subscriptions',
  'unavailable',
] as const;
export type SocketErrorCode = (typeof socketErrorCodes)[number];

export interface ClientToServerEvents {
  subscribe(request: SubscribeRequest, ack: (answer: Subscribed | Refused) => void): void;
  unsubscribe(
    request: { readonly room: string },
    ack: (answer: { readonly ok: true; readonly room: string } | Refused) => void,
  ): void;
  /** Answered by the acknowledgement where one is given, else by the event `pong`. */
  ping(ack?: (pong: Pong) => void): void;
}

export interface ServerToClientEvents {
  notification(notification: WireNotification): void;
  progress(progress: WireProgress): void;
  delta(delta: WireDelta): void;
  pong(pong: Pong): void;
  /** Something may have been missed: compare heads (ping), or subscribe again with `since`. */
  check(): void;
  /** The server is about to close this connection; a client that reconnects needs a new token first. */
  closing(reason: { readonly code: SocketErrorCode; readonly message: string }): void;
}

/** What the server listens to; anything else is refused with `invalid_message`. */
export const clientEvents = [
  'subscribe',
  'unsubscribe',
  'ping',
] as const satisfies readonly (keyof ClientToServerEvents)[];

/** What is said to a room without being stored. */
export type Ephemeral =
  | { readonly event: 'progress'; readonly payload: WireProgress }
  | { readonly event: 'delta'; readonly payload: WireDelta };
