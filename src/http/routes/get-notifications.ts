import { z } from 'zod';
import type { NotificationQueries } from '../../realtime/log/notification-queries.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { parseInput } from '../input.js';
import { ownRoom, roomQuery } from '../own-room.js';

const seq = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const querySchema = z
  .object({
    room: roomQuery.optional(),
    after: seq.optional(),
    before: seq.optional(),
    limit: z.coerce.number().int().min(1).max(100).default(50),
    unread: z
      .enum(['true', 'false'])
      .default('false')
      .transform((text) => text === 'true'),
  })
  .refine(({ after, before }) => after === undefined || before === undefined, {
    path: ['before'],
    message: 'cannot be asked for together with after',
  });

/** What is stored in a room: for lists of notifications, and to rebuild from after a reset. */
export function getNotifications(notifications: Pick<NotificationQueries, 'list'>): Endpoint {
  return {
    method: 'get',
    path: '/v1/notifications',
    access: 'user',
    async handle(req, res) {
      const { room, ...want } = parseInput(querySchema, req.query);
      res.json(await notifications.list(ownRoom(room, ownerOf(req)), want));
    },
  };
}
