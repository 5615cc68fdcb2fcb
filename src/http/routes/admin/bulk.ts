import type { Request, Response } from 'express';
import { z } from 'zod';
import type { BulkAct } from '../../../execution/bulk-operations.js';
import { deadLetterFilterSchema } from '../../../execution/dead-letter-filter.js';
import { actorOf } from '../../call.js';
import type { AdminDeps } from '../../deps.js';
import type { Endpoint } from '../../endpoint.js';
import { parseInput } from '../../input.js';
import { admin, discardOptions, replayOptions } from './input.js';

const common = {
  /** Required, and `{}` for all: nobody should discard everything by leaving something out. */
  filter: deadLetterFilterSchema,
  ratePerSecond: z.number().int().min(1).max(1_000).default(50),
  dryRun: z.boolean().default(false),
};
type Common = z.infer<z.ZodObject<typeof common>>;

const replayBody = z.strictObject({ ...common, ...replayOptions });
const discardBody = z.strictObject({ ...common, ...discardOptions });

type Deps = Pick<AdminDeps, 'bulk'>;

export function bulkReplay({ bulk }: Deps): Endpoint {
  return {
    method: 'post',
    path: '/v1/admin/dead-letters/replay',
    access: admin,
    takesJson: true,
    handle(req, res) {
      const { mode, force, ...order } = parseInput(replayBody, req.body);
      return answer(bulk, order, { action: 'replay', mode, force }, req, res);
    },
  };
}

export function bulkDiscard({ bulk }: Deps): Endpoint {
  return {
    method: 'post',
    path: '/v1/admin/dead-letters/discard',
    access: admin,
    takesJson: true,
    handle(req, res) {
      const { reason, ...order } = parseInput(discardBody, req.body);
      return answer(bulk, order, { action: 'discard', reason }, req, res);
    },
  };
}

async function answer(
  bulk: AdminDeps['bulk'],
  { filter, ratePerSecond, dryRun }: Common,
  act: BulkAct,
  req: Request,
  res: Response,
): Promise<void> {
  if (dryRun) {
    res.json({ matched: await bulk.count(filter) });
    return;
  }
  const operation = await bulk.start({ filter, act, ratePerSecond, actor: actorOf(req) });
  res.status(202).location(`/v1/admin/operations/${operation.id}`).json(operation);
}
