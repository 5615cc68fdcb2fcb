import { clientIdSchema } from '../platform/ids.js';

/**
 * Rooms. On the wire a room is `user_<userId>` or `request_<requestId>`. Inside, its key carries the owner as well, so the
 * same request id of two users is two rooms, and a guessed or early subscription hears nothing of others: a subscriber
 * can only ever name rooms of their own.
 */
export interface Room {
  readonly kind: 'user' | 'request';
  readonly userId: string;
  readonly requestId?: string;
}

/** The inside key: `u:<userId>` or `r:<userId>:<requestId>`, each part percent-encoded down to A-Z a-z 0-9 . - ~ and %. */
export function roomKey(room: Room): string {
  return room.requestId === undefined
    ? `u:${encodePart(room.userId)}`
    : `r:${encodePart(room.userId)}:${encodePart(room.requestId)}`;
}

export const userRoom = (userId: string): Room => ({ kind: 'user', userId });
export const requestRoom = (userId: string, requestId: string): Room => ({ kind: 'request', userId, requestId });

/** The rooms that a notification of this user (and request) goes to. */
export function roomsOf(target: { readonly userId: string; readonly requestId?: string | undefined }): Room[] {
  const user = userRoom(target.userId);
  return target.requestId === undefined ? [user] : [user, requestRoom(target.userId, target.requestId)];
}

export function wireName(room: Room): string {
  return room.requestId === undefined ? `user_${room.userId}` : `request_${room.requestId}`;
}

/** The room that `name` means for `userId`, or undefined where the name is malformed or the room is not theirs. */
export function resolveRoom(name: string, userId: string): Room | undefined {
  if (name === `user_${userId}`) return userRoom(userId);
  if (!name.startsWith('request_')) return undefined;
  const requestId = clientIdSchema.safeParse(name.slice('request_'.length));
  return requestId.success ? requestRoom(userId, requestId.data) : undefined;
}

/** The room that an inside key means; keys are made by `roomKey` alone. */
export function parseRoomKey(key: string): Room {
  const [kind, user = '', request] = key.split(':');
  return kind === 'r' && request !== undefined
    ? requestRoom(decodeURIComponent(user), decodeURIComponent(request))
    : userRoom(decodeURIComponent(user));
}

/** encodeURIComponent leaves _ ! ' ( ) * alone; `_`, `#` and `:` must never be ambiguous in keys and adapter channels. */
function encodePart(part: string): string {
  return encodeURIComponent(part).replace(
    /[_!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** Whether a Socket.IO room is one of ours: a socket's own room is named by its id, which has no colon. */
export const isRoomKey = (name: string): boolean => name.startsWith('u:') || name.startsWith('r:');
