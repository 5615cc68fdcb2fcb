import type { Read } from '../../features/feature.js';
import type { Database } from '../../platform/database.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { orNotFound, parseInput, parseParams } from '../input.js';

/** A read route that a feature declares, narrowed to its owner by the feature's own query. */
export function featureRead(read: Read, database: Database): Endpoint {
  return {
    method: 'get',
    path: read.path,
    access: 'user',
    async handle(req, res) {
      const params = parseParams(read.params, req.params);
      const query = parseInput(read.query, req.query);
      res.json(orNotFound(await read.run({ userId: ownerOf(req), params, query, database })));
    },
  };
}
