import { z } from 'zod';
import { SynapError } from '../../platform/errors.js';
import { toFaults } from '../../platform/faults.js';
import { findUnstorable, isStorableText } from '../../platform/text.js';
import type { NotificationStatus } from '../contract.js';
import type { NotificationDraft } from '../log/notification-log.js';
import type { NotificationLog } from '../log/postgres-log.js';
import type { Presence } from '../presence.js';
import type { Publisher } from './publisher.js';
import { requestRoom, resolveRoom, roomKey, userRoom, type Room } from '../rooms.js';

/** What a trusted service says to one room. `data` and the rest of `notification` come from outside and are checked here. */
export interface BroadcastInput {
  /** Wire name. */
  readonly room: string;
  /** Whose room it is; a request's room needs it, because the same request id of two users is two rooms. */
  readonly userId?: string | undefined;
  readonly notification: unknown;
}

export interface BroadcastResult {
  readonly success: true;
  /** Connections that the room is known to have. It is stored also for those that come later. */
  readonly broadcastCount: number;
}

export interface BroadcastsDeps {
  readonly log: Pick<NotificationLog, 'append'>;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly presence: Presence;
}

const notificationSchema = z.strictObject({
  type: z.string().regex(/^[a-z0-9_.-]{1,200}$/i, 'must be 1 to 200 characters of A-Z a-z 0-9 . _ -'),
  status: z.enum(['success', 'error', 'pending'] satisfies NotificationStatus[]).default('success'),
  data: z.record(z.string(), z.json()).default({}),
  error: z.strictObject({ code: z.string().min(1).max(100), message: z.string().max(2_000) }).optional(),
});

/** A page needs a notification, not a document: every socket of the room gets it, and every reconnect again. */
const maxDataLength = 256 * 1024;

/** What services outside of any job tell users. */
export class Broadcasts {
  readonly #deps: BroadcastsDeps;

  constructor(deps: BroadcastsDeps) {
    this.#deps = deps;
  }

  /** Stored, numbered, delivered and resumed like any notification. @throws SynapError `validation_failed`, `unavailable` */
  async broadcast({ room: name, userId, notification }: BroadcastInput): Promise<BroadcastResult> {
    const room = resolve(name, userId);
    const { log, publisher, presence } = this.#deps;
    publisher.publish(await log.append(toDraft(room, check(notification)), [room]));
    return { success: true, broadcastCount: await presence.count(roomKey(room)) };
  }
}

function toDraft(room: Room, { error, data, ...rest }: z.infer<typeof notificationSchema>): NotificationDraft {
  return {
    ...rest,
    data,
    userId: room.userId,
    ...(room.requestId !== undefined && { requestId: room.requestId }),
    ...(error !== undefined && { error }),
  };
}

function resolve(name: string, userId: string | undefined): Room {
  if (userId !== undefined && !isUserId(userId)) throw invalid('userId', 'must be a user id of 1 to 256 characters');
  const owner = name.startsWith('user_') ? name.slice('user_'.length) : undefined;
  if (owner !== undefined) {
    if (!isUserId(owner)) throw invalid('room', 'must be user_<userId> or request_<requestId>');
    if (userId !== undefined && userId !== owner) throw invalid('userId', 'must be the user whose room it is');
    return userRoom(owner);
  }
  if (!name.startsWith('request_')) throw invalid('room', 'must be user_<userId> or request_<requestId>');
  if (userId === undefined) throw invalid('userId', 'is required for a request room');
  const room = resolveRoom(name, userId);
  if (room?.requestId === undefined) throw invalid('room', 'is not a valid request id');
  return requestRoom(userId, room.requestId);
}

const isUserId = (userId: string) => userId !== '' && userId.length <= 256 && isStorableText(userId);

function check(notification: unknown): z.infer<typeof notificationSchema> {
  const parsed = notificationSchema.safeParse(notification);
  if (!parsed.success) {
    throw new SynapError('validation_failed', 'the notification is not valid', { faults: toFaults(parsed.error) });
  }
  const unstorable = findUnstorable(parsed.data);
  if (unstorable !== undefined) throw invalid(unstorable, 'holds characters that cannot be stored');
  if (JSON.stringify(parsed.data.data).length > maxDataLength)
    throw invalid('data', `must be at most ${maxDataLength} characters of JSON`);
  return parsed.data;
}

function invalid(path: string, message: string): SynapError {
  return new SynapError('validation_failed', `${path} ${message}`, { faults: [{ path, message }] });
}
