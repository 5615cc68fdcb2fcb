import type { Acceptor } from '../../events/acceptance.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { idempotencyOf } from '../input.js';
import { sendJson } from '../send-json.js';

/** Accepts one event. 202 means committed: it is handled whatever happens next. */
export function postEvents(acceptor: Acceptor): Endpoint {
  return {
    method: 'post',
    path: '/v1/events',
    access: 'user',
    takesJson: true,
    async handle(req, res) {
      const acceptance = await acceptor.accept(ownerOf(req), req.body, idempotencyOf(req));
      req.call.requestId = acceptance.requestId;
      sendJson(res, 202, acceptance);
    },
  };
}
