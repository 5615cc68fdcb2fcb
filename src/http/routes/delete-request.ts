import { z } from 'zod';
import type { RequestCancellation } from '../../execution/cancellation.js';
import { clientIdSchema } from '../../platform/ids.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { orNotFound, parseParams } from '../input.js';

const paramsSchema = z.object({ requestId: clientIdSchema });

/** Ends what is unfinished of an operation, and answers how it then stands. */
export function deleteRequest(cancellation: Pick<RequestCancellation, 'cancel'>): Endpoint {
  return {
    method: 'delete',
    path: '/v1/requests/:requestId',
    access: 'user',
    async handle(req, res) {
      const { requestId } = parseParams(paramsSchema, req.params);
      req.call.requestId = requestId;
      res.json(orNotFound(await cancellation.cancel(ownerOf(req), requestId)));
    },
  };
}
