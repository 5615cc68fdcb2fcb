import { z } from 'zod';
import { pageQuery } from '../../../features/paging.js';
import { actorOf } from '../../call.js';
import type { AdminDeps } from '../../deps.js';
import type { Endpoint } from '../../endpoint.js';
import { orNotFound, parseInput, parseParams } from '../../input.js';
import { admin } from './input.js';

const operationParams = z.object({ id: z.uuid().toLowerCase() });

type Deps = Pick<AdminDeps, 'bulk'>;

/** Newest first. */
export function getOperations({ bulk }: Deps): Endpoint {
  return {
    method: 'get',
    path: '/v1/admin/operations',
    access: admin,
    async handle(req, res) {
      res.json(await bulk.list(parseInput(pageQuery, req.query)));
    },
  };
}

export function getOperation({ bulk }: Deps): Endpoint {
  return {
    method: 'get',
    path: '/v1/admin/operations/:id',
    access: admin,
    async handle(req, res) {
      const { id } = parseParams(operationParams, req.params);
      res.json(orNotFound(await bulk.find(id)));
    },
  };
}

/** Stops it: what is done stays done. */
export function deleteOperation({ bulk }: Deps): Endpoint {
  return {
    method: 'delete',
    path: '/v1/admin/operations/:id',
    access: admin,
    async handle(req, res) {
      const { id } = parseParams(operationParams, req.params);
      res.json(await bulk.stop(id, { actor: actorOf(req) }));
    },
  };
}
