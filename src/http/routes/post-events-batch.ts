import { z } from 'zod';
import type { Acceptance, Acceptor } from '../../events/acceptance.js';
import { SynapError } from '../../platform/errors.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { idempotencyOf, parseInput } from '../input.js';
import { toProblem } from '../problem.js';
import { sendJson } from '../send-json.js';

const batchSchema = z.strictObject({ events: z.array(z.unknown()).min(1).max(1_000) });

/** Accepts up to 1,000 events, each by itself; the answer has one item per event, in their order. */
export function postEventsBatch(acceptor: Acceptor): Endpoint {
  return {
    method: 'post',
    path: '/v1/events/batch',
    access: 'user',
    takesJson: true,
    async handle(req, res) {
      const { events } = parseInput(batchSchema, req.body);
      const answers = await acceptor.acceptAll(ownerOf(req), events, idempotencyOf(req));
      sendJson(res, 200, { items: answers.map(toItem) });
    },
  };
}

/** `status` is that of HTTP, as if the event had come alone. */
function toItem(answer: Acceptance | SynapError) {
  if (!(answer instanceof SynapError)) return { ...answer, status: 202 };
  const retryAfter =
    answer.retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.ceil(answer.retryAfterMs / 1_000) };
  return { ...toProblem(answer), ...retryAfter };
}
