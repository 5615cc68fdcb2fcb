import { z } from 'zod';
import type { AppDeps } from '../deps.js';
import type { Endpoint } from '../endpoint.js';
import { parseInput } from '../input.js';

const bodySchema = z.looseObject({
  /** Whose room it is: the same request id of two users is two rooms. */
  userId: z.string().optional(),
  // On the wire a notification has these; its storing decides them anew.
  requestId: z.unknown().optional(),
  timestamp: z.unknown().optional(),
});

/** A trusted service tells a room something; it is stored, numbered and delivered like any notification. */
export function postBroadcast(broadcasts: AppDeps['broadcasts']): Endpoint {
  return {
    method: 'post',
    path: '/rooms/:room/broadcast',
    access: { scope: 'broadcast' },
    takesJson: true,
    async handle(req, res) {
      const {
        userId,
        requestId: _requestId,
        timestamp: _timestamp,
        ...notification
      } = parseInput(bodySchema, req.body);
      res.json(await broadcasts.broadcast({ room: String(req.params['room']), userId, notification }));
    },
  };
}
