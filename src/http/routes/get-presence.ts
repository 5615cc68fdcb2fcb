import { z } from 'zod';
import { isStorableText } from '../../platform/text.js';
import type { Presence } from '../../realtime/presence.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { parseParams } from '../input.js';

/** Which of one's own devices are connected. */
export function getPresence(presence: Pick<Presence, 'devices'>): Endpoint {
  return {
    method: 'get',
    path: '/v1/presence',
    access: 'user',
    async handle(req, res) {
      res.json({ devices: await presence.devices(ownerOf(req)) });
    },
  };
}

const paramsSchema = z.object({ userId: z.string().min(1).max(256).refine(isStorableText) });

/** The same of any user, for services that may speak to any user's rooms. */
export function getUserPresence(presence: Pick<Presence, 'devices'>): Endpoint {
  return {
    method: 'get',
    path: '/v1/users/:userId/presence',
    access: { scope: 'broadcast' },
    async handle(req, res) {
      const { userId } = parseParams(paramsSchema, req.params);
      res.json({ devices: await presence.devices(userId) });
    },
  };
}
