import type { EventQueries } from '../../events/queries.js';
import type { NotificationQueries } from '../../realtime/log/notification-queries.js';
import { ownerOf } from '../call.js';
import { withNotifications } from '../causation-view.js';
import type { Endpoint } from '../endpoint.js';
import { eventIdParams, orNotFound, parseParams } from '../input.js';

export function getEvent(events: EventQueries, notifications: Pick<NotificationQueries, 'ofEvents'>): Endpoint {
  return {
    method: 'get',
    path: '/v1/events/:id',
    access: 'user',
    async handle(req, res) {
      const { id } = parseParams(eventIdParams, req.params);
      const event = orNotFound(await events.find(ownerOf(req), id));
      const [shown] = await withNotifications(notifications, [event]);
      res.json(shown);
    },
  };
}
