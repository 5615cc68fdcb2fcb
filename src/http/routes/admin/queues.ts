import { z } from 'zod';
import { actorOf } from '../../call.js';
import type { AdminDeps } from '../../deps.js';
import type { Endpoint } from '../../endpoint.js';
import { parseInput } from '../../input.js';
import { admin } from './input.js';

const changeBody = z
  .strictObject({
    paused: z.boolean().optional(),
    concurrency: z.number().int().min(1).max(100_000).nullish(),
    rate: z
      .strictObject({
        max: z.number().int().min(1).max(1_000_000),
        windowMs: z.number().int().min(1).max(86_400_000),
      })
      .nullish(),
  })
  .refine((body) => Object.keys(body).length > 0, 'must name something to change');

type Deps = Pick<AdminDeps, 'queues'>;

export function getQueues({ queues }: Deps): Endpoint {
  return {
    method: 'get',
    path: '/v1/admin/queues',
    access: admin,
    async handle(_req, res) {
      res.json({ items: await queues.list() });
    },
  };
}

export function getQueue({ queues }: Deps): Endpoint {
  return {
    method: 'get',
    path: '/v1/admin/queues/:queue',
    access: admin,
    async handle(req, res) {
      res.json(await queues.find(String(req.params['queue'])));
    },
  };
}

/** What is left out stays as it is. */
export function putQueue({ queues }: Deps): Endpoint {
  return {
    method: 'put',
    path: '/v1/admin/queues/:queue',
    access: admin,
    takesJson: true,
    async handle(req, res) {
      const change = parseInput(changeBody, req.body);
      res.json(await queues.change(String(req.params['queue']), change, { actor: actorOf(req) }));
    },
  };
}
