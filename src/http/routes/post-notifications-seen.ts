import { z } from 'zod';
import type { NotificationQueries } from '../../realtime/log/notification-queries.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { parseInput } from '../input.js';
import { ownRoom, roomQuery } from '../own-room.js';

const byIds = z.strictObject({ ids: z.array(z.uuid()).min(1).max(500) });
const upTo = z.strictObject({ room: roomQuery.optional(), upTo: z.int().min(0) });

/** The user has seen these, or all of a room up to a number. May be repeated: the first time stays. */
export function postNotificationsSeen(notifications: Pick<NotificationQueries, 'markSeen' | 'markSeenUpTo'>): Endpoint {
  return {
    method: 'post',
    path: '/v1/notifications/seen',
    access: 'user',
    takesJson: true,
    async handle(req, res) {
      const userId = ownerOf(req);
      if (hasIds(req.body)) {
        const { ids } = parseInput(byIds, req.body);
        res.json(await notifications.markSeen(userId, ids));
        return;
      }
      const body = parseInput(upTo, req.body);
      res.json(await notifications.markSeenUpTo(ownRoom(body.room, userId), body.upTo));
    },
  };
}

/** Rather than a union, whose faults would speak of both forms at once. */
const hasIds = (body: unknown): boolean => typeof body === 'object' && body !== null && 'ids' in body;
