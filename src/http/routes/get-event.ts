import type { EventQueries } from '../../events/queries.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { eventIdParams, orNotFound, parseParams } from '../input.js';

export function getEvent(events: EventQueries): Endpoint {
  return {
    method: 'get',
    path: '/v1/events/:id',
    access: 'user',
    async handle(req, res) {
      const { id } = parseParams(eventIdParams, req.params);
      res.json(orNotFound(await events.find(ownerOf(req), id)));
    },
  };
}
