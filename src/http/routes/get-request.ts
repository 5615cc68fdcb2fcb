import { z } from 'zod';
import type { RequestQueries } from '../../execution/requests.js';
import { clientIdSchema } from '../../platform/ids.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { orNotFound, parseParams } from '../input.js';

const paramsSchema = z.object({ requestId: clientIdSchema });

/** How far an operation is: for clients that were away, or that cannot hold a socket. */
export function getRequest(requests: RequestQueries): Endpoint {
  return {
    method: 'get',
    path: '/v1/requests/:requestId',
    access: 'user',
    async handle(req, res) {
      const { requestId } = parseParams(paramsSchema, req.params);
      req.call.requestId = requestId;
      res.json(orNotFound(await requests.find(ownerOf(req), requestId)));
    },
  };
}
