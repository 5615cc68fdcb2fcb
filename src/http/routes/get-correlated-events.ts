import type { EventQueries } from '../../events/queries.js';
import { clientIdSchema } from '../../platform/ids.js';
import { pageQuery } from '../../features/paging.js';
import type { NotificationQueries } from '../../realtime/log/notification-queries.js';
import { ownerOf } from '../call.js';
import { withNotifications } from '../causation-view.js';
import type { Endpoint } from '../endpoint.js';
import { parseInput } from '../input.js';

const querySchema = pageQuery.extend({ correlationId: clientIdSchema });

/** A whole story, oldest first. */
export function getCorrelatedEvents(
  events: EventQueries,
  notifications: Pick<NotificationQueries, 'ofEvents'>,
): Endpoint {
  return {
    method: 'get',
    path: '/v1/events',
    access: 'user',
    async handle(req, res) {
      const { correlationId, ...page } = parseInput(querySchema, req.query);
      const { items, ...rest } = await events.getCorrelatedEvents(ownerOf(req), correlationId, page);
      res.json({ items: await withNotifications(notifications, items), ...rest });
    },
  };
}
