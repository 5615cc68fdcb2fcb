import { z } from 'zod';
import { clientIdSchema } from '../platform/ids.js';
import type { Json } from '../platform/text.js';

/**
 * What goes over the socket. Names and shapes are public: clients in any language rely on them (docs/web-client.md). The schemas
 * are the one source: the server checks with them, `/asyncapi.json` is generated from them, and clients take their types from here.
 */

const json: z.ZodType<Json> = z.json();
const time = z.iso.datetime();
const seq = z.int().min(0);
const roomName = z
  .string()
  .min(1)
  .max(400)
  .meta({ description: 'user_<userId> or request_<requestId>', examples: ['user_ada', 'request_req-123'] });

export const notificationStatus = z.enum(['success', 'error', 'pending']);
export type NotificationStatus = z.infer<typeof notificationStatus>;

export const wireNotification = z
  .object({
    id: z.uuid().meta({ description: 'The same in every room that the notification goes to' }),
    type: z.string().meta({ examples: ['note.creation.completed'] }),
    data: json,
    status: notificationStatus,
    timestamp: time,
    requestId: z.string().optional(),
    eventId: z.uuid().optional().meta({ description: 'The event that it tells of; a broadcast has none' }),
    error: z.object({ code: z.string(), message: z.string() }).optional(),
    room: roomName,
    seq: z.int().min(1),
    epoch: z.uuid(),
  })
  .meta({
    id: 'Notification',
    description: 'Stored, numbered, delivered in order per room. `seq` counts from 1 without gaps within an epoch.',
  });
/** Stored, numbered, delivered in order per room. `seq` counts from 1 without gaps within a room's `epoch`. */
export type WireNotification = Readonly<z.infer<typeof wireNotification>>;

export const wireProgress = z
  .object({
    room: roomName,
    requestId: z.string(),
    eventId: z.uuid(),
    percent: z.number().min(0).max(100),
    message: z.string().optional(),
    timestamp: time,
  })
  .meta({ id: 'Progress', description: 'Not stored: may be lost, and a notification always supersedes it.' });
export type WireProgress = Readonly<z.infer<typeof wireProgress>>;

export const wireDelta = z
  .object({
    room: roomName,
    requestId: z.string(),
    eventId: z.uuid(),
    attempt: z.int().min(1).meta({ description: 'A newer attempt starts the text over' }),
    offset: z.int().min(0).meta({ description: 'Length, in UTF-16 units, of the text before this piece' }),
    text: z.string(),
  })
  .meta({ id: 'Delta', description: 'A piece of an answer that is being written. Not stored.' });
export type WireDelta = Readonly<z.infer<typeof wireDelta>>;

export const roomHead = z
  .object({ epoch: z.uuid().nullable(), seq })
  .meta({ id: 'RoomHead', description: 'The newest number of a room; a room without notifications is {null, 0}.' });
export type RoomHead = Readonly<z.infer<typeof roomHead>>;

export const subscribeRequest = z
  .object({
    room: roomName,
    since: roomHead
      .extend({ at: time.optional().meta({ description: '`at` of the last answer, for rooms that were empty then' }) })
      .optional()
      .meta({ description: 'The last notification that the client has; without it, only what comes from now on' }),
    paged: z
      .boolean()
      .optional()
      .meta({ description: 'The client asks again where `hasMore` is true; without it, more than a page is a reset' }),
  })
  .meta({ id: 'Subscribe' });
export type SubscribeRequest = Readonly<z.infer<typeof subscribeRequest>>;

export const resetReason = z.enum(['too_old', 'epoch_changed']);
export type ResetReason = z.infer<typeof resetReason>;

export const subscribed = roomHead
  .extend({
    ok: z.literal(true),
    room: roomName,
    at: time.meta({ description: 'The server’s time of this answer' }),
    recovered: z.boolean().meta({ description: '`notifications` is all that came after `since` (see `hasMore`)' }),
    reset: resetReason
      .optional()
      .meta({ description: 'What came after `since` is not there any more: load what is shown anew' }),
    notifications: z.array(wireNotification),
    hasMore: z.boolean().optional().meta({ description: 'Only for `paged`: subscribe again, since the last of these' }),
    streams: z
      .array(wireDelta)
      .optional()
      .meta({ description: 'Answers that are being written: their text so far, from offset 0' }),
  })
  .meta({ id: 'Subscribed' });
export type Subscribed = Readonly<z.infer<typeof subscribed>>;

export const unsubscribeRequest = z.object({ room: roomName }).meta({ id: 'Unsubscribe' });
export const unsubscribed = z.object({ ok: z.literal(true), room: roomName }).meta({ id: 'Unsubscribed' });

export const authenticateRequest = z
  .object({ token: z.string().min(1).max(8_192) })
  .meta({ id: 'Authenticate', description: 'A new token for the same user, before the old one ends' });
export const authenticated = z
  .object({ ok: z.literal(true), expiresAt: time.nullable() })
  .meta({ id: 'Authenticated' });

export const acknowledgeRequest = z
  .object({
    room: roomName,
    epoch: z.uuid(),
    delivered: seq.optional().meta({ description: 'Everything up to here has reached this device' }),
    seen: seq.optional().meta({ description: 'Everything up to here was seen by the user' }),
  })
  .meta({ id: 'Acknowledge' });
export type AcknowledgeRequest = Readonly<z.infer<typeof acknowledgeRequest>>;
export const acknowledged = z.object({ ok: z.literal(true) }).meta({ id: 'Acknowledged' });

export const pong = z
  .object({
    type: z.literal('pong'),
    timestamp: time,
    heads: z.record(z.string(), roomHead).meta({ description: 'The newest number of each room of this socket' }),
  })
  .meta({ id: 'Pong' });
export type Pong = Readonly<z.infer<typeof pong>>;

/** `connect_error.data.code`, the code in `closing` and of refused acknowledgements. */
export const socketErrorCodes = [
  'unauthenticated',
  'token_invalid',
  'token_expired',
  'forbidden',
  'invalid_room',
  'invalid_message',
  'too_many_subscriptions',
  'too_many_connections',
  'rate_limited',
  'slow_consumer',
  'draining',
  'unavailable',
] as const;
export const socketErrorCode = z.enum(socketErrorCodes);
export type SocketErrorCode = z.infer<typeof socketErrorCode>;

export const refused = z
  .object({ ok: z.literal(false), code: socketErrorCode, message: z.string() })
  .meta({ id: 'Refused' });
export type Refused = Readonly<z.infer<typeof refused>>;

export const closing = z
  .object({ code: socketErrorCode, message: z.string() })
  .meta({ id: 'Closing', description: 'The server is about to close this connection, and why.' });
export type Closing = Readonly<z.infer<typeof closing>>;

export const ready = z
  .object({
    connectionId: z.string(),
    userId: z.string(),
    deviceId: z.string().nullable(),
    expiresAt: time.nullable().meta({ description: 'When the token ends; authenticate again before it' }),
  })
  .meta({ id: 'Ready', description: 'The first thing a connection hears.' });
export type Ready = Readonly<z.infer<typeof ready>>;

/** `GET /v1/notifications/stream`: the first event, and where the stream goes on from. */
export const streamReady = roomHead
  .extend({
    room: roomName,
    at: time,
    expiresAt: time.nullable().meta({ description: 'When the token ends, and the stream with it' }),
  })
  .meta({ id: 'StreamReady', description: 'The newest number of the room; what is missed follows, then what comes.' });
export type StreamReady = Readonly<z.infer<typeof streamReady>>;

export const streamReset = roomHead.extend({ room: roomName, reason: resetReason }).meta({
  id: 'StreamReset',
  description: 'What came before this number is not to be had here: load what is shown anew.',
});
export type StreamReset = Readonly<z.infer<typeof streamReset>>;

/** What a client says of itself when it connects: `io(url, { auth })`. */
export const handshakeAuth = z
  .object({
    token: z.string().max(8_192),
    device: z
      .object({ id: clientIdSchema.max(64), name: z.string().max(100).optional() })
      .optional()
      .meta({ description: 'The same for all connections of a device or browser; shown in its user’s presence' }),
    batch: z.boolean().optional().meta({ description: 'The client understands `notifications`: a burst in one frame' }),
  })
  .meta({ id: 'Auth' });
export type HandshakeAuth = Readonly<z.infer<typeof handshakeAuth>>;

type Ack<Answer> = (answer: Readonly<Answer> | Refused) => void;

export interface ClientToServerEvents {
  subscribe(request: SubscribeRequest, ack: Ack<Subscribed>): void;
  unsubscribe(request: Readonly<z.infer<typeof unsubscribeRequest>>, ack: Ack<z.infer<typeof unsubscribed>>): void;
  authenticate(request: Readonly<z.infer<typeof authenticateRequest>>, ack: Ack<z.infer<typeof authenticated>>): void;
  acknowledge(request: AcknowledgeRequest, ack?: Ack<z.infer<typeof acknowledged>>): void;
  /** Answered by the acknowledgement where one is given, else by the event `pong`. */
  ping(ack?: (pong: Pong) => void): void;
}

export interface ServerToClientEvents {
  ready(ready: Ready): void;
  notification(notification: WireNotification): void;
  /** Of one or several rooms, each room's in order; only to clients that connect with `batch: true`. */
  notifications(notifications: readonly WireNotification[]): void;
  progress(progress: WireProgress): void;
  delta(delta: WireDelta): void;
  pong(pong: Pong): void;
  /** Something may have been missed: compare heads (ping), or subscribe again with `since`. */
  check(): void;
  closing(reason: Closing): void;
}

/** What the server listens to; anything else is refused with `invalid_message`. */
export const clientEvents = [
  'subscribe',
  'unsubscribe',
  'authenticate',
  'acknowledge',
  'ping',
] as const satisfies readonly (keyof ClientToServerEvents)[];

/** The events of a stream (SSE). */
export interface StreamEvents {
  ready: StreamReady;
  notification: WireNotification;
  progress: WireProgress;
  delta: WireDelta;
  reset: StreamReset;
  closing: Closing;
}

/** What is said to a room without being stored. */
export type Ephemeral =
  | { readonly event: 'progress'; readonly payload: WireProgress }
  | { readonly event: 'delta'; readonly payload: WireDelta };
