import type { EventQueries } from '../../events/queries.js';
import { pageQuery } from '../../features/paging.js';
import type { NotificationQueries } from '../../realtime/log/notification-queries.js';
import { ownerOf } from '../call.js';
import { withNotifications } from '../causation-view.js';
import type { Endpoint } from '../endpoint.js';
import { eventIdParams, parseInput, parseParams } from '../input.js';

/** All that an event caused, each with its depth in the tree of causation. */
export function getDescendants(events: EventQueries, notifications: Pick<NotificationQueries, 'ofEvents'>): Endpoint {
  return {
    method: 'get',
    path: '/v1/events/:id/descendants',
    access: 'user',
    async handle(req, res) {
      const { id } = parseParams(eventIdParams, req.params);
      const page = parseInput(pageQuery, req.query);
      const { items, ...rest } = await events.descendants(ownerOf(req), id, page);
      res.json({ items: await withNotifications(notifications, items), ...rest });
    },
  };
}
