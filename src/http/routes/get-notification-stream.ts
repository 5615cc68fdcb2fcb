import { z } from 'zod';
import { clientIdSchema } from '../../platform/ids.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { parseInput } from '../input.js';
import { ownRoom, roomQuery } from '../own-room.js';
import { parseEventId } from '../streams/event-stream.js';
import type { OpenStreams } from '../streams/open-streams.js';

const lastEventId = z.string().transform((text, ctx) => {
  const since = parseEventId(text);
  if (since !== undefined) return since;
  ctx.addIssue({ code: 'custom', message: 'must be the id of an event of a stream: <epoch>.<seq>' });
  return z.NEVER;
});

/** EventSource sends the header by itself when it reconnects; the parameter is for those who cannot send headers. */
const querySchema = z.object({
  room: roomQuery.optional(),
  lastEventId: lastEventId.optional(),
  /** As in the handshake of a socket; shown in the user's presence. */
  deviceId: clientIdSchema.max(64).optional(),
  deviceName: z.string().max(100).optional(),
});

/** A room as server-sent events, in the order of the socket and resumed like it: for where sockets do not come through. */
export function getNotificationStream(streams: Pick<OpenStreams, 'open'>): Endpoint {
  return {
    method: 'get',
    path: '/v1/notifications/stream',
    access: 'user',
    takesTokenInQuery: true,
    async handle(req, res) {
      const given = req.get('last-event-id') ?? req.query['lastEventId'];
      const { lastEventId: _given, ...query } = req.query;
      const asked = parseInput(
        querySchema,
        given === '' || given === undefined ? query : { ...query, lastEventId: given },
      );
      const { room, lastEventId: since, deviceId, deviceName } = asked;
      const device = deviceId === undefined ? undefined : { id: deviceId, name: deviceName };
      const userId = ownerOf(req);
      const want = { room: ownRoom(room, userId), since, userId, expiresAt: req.call.tokenExpiresAt, device };
      req.call.isStream = true;
      if (req.method === 'HEAD') res.end();
      else await streams.open(want, res);
    },
  };
}
