import { z } from 'zod';
import { SynapError } from '../platform/errors.js';
import { resolveRoom, userRoom, type Room } from '../realtime/rooms.js';

/** A room's wire name, as a parameter of a call. */
export const roomQuery = z.string().min(1).max(400);

/**
 * The room of this user that `name` means, by the rules of the socket; their own without a name.
 * @throws SynapError `forbidden` for another user's, `validation_failed` for what is no name of a room.
 */
export function ownRoom(name: string | undefined, userId: string): Room {
  if (name === undefined) return userRoom(userId);
  const room = resolveRoom(name, userId);
  if (room !== undefined) return room;
  if (name.startsWith('user_'))
    throw new SynapError('forbidden', `${userId} asked for ${name}`, {
      publicMessage: 'This room belongs to another user.',
    });
  const message = 'must be user_<userId> or request_<requestId>';
  throw new SynapError('validation_failed', `room ${message}`, { faults: [{ path: 'room', message }] });
}
