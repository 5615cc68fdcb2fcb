import { z } from 'zod';
import { actorOf } from '../../call.js';
import type { AdminDeps } from '../../deps.js';
import type { Endpoint } from '../../endpoint.js';
import { parseInput, parseParams } from '../../input.js';
import { admin, discardOptions, jobParams, replayOptions } from './input.js';

const payloadBody = z
  .strictObject({ data: z.unknown() })
  .refine(({ data }) => data !== undefined, { path: ['data'], message: 'is missing; null removes the correction' });
const replayBody = z.strictObject(replayOptions);
const discardBody = z.strictObject(discardOptions);

/** What the next replay gets in the place of the event's data; the event stays as it is. */
export function putPayload({ corrections }: Pick<AdminDeps, 'corrections'>): Endpoint {
  return {
    method: 'put',
    path: '/v1/admin/dead-letters/:jobId/payload',
    access: admin,
    takesJson: true,
    async handle(req, res) {
      const { jobId } = parseParams(jobParams, req.params);
      const { data } = parseInput(payloadBody, req.body);
      const correction = await corrections.set(jobId, data, { actor: actorOf(req) });
      res.json({ jobId, correction });
    },
  };
}

type Deps = Pick<AdminDeps, 'administration'>;

export function replayDeadLetter({ administration }: Deps): Endpoint {
  return {
    method: 'post',
    path: '/v1/admin/dead-letters/:jobId/replay',
    access: admin,
    takesJson: true,
    async handle(req, res) {
      const { jobId } = parseParams(jobParams, req.params);
      const options = parseInput(replayBody, req.body ?? {});
      const generation = await administration.replay(jobId, { ...options, actor: actorOf(req) });
      res.json({ jobId, state: 'replayed', generation });
    },
  };
}

export function discardDeadLetter({ administration }: Deps): Endpoint {
  return {
    method: 'post',
    path: '/v1/admin/dead-letters/:jobId/discard',
    access: admin,
    takesJson: true,
    async handle(req, res) {
      const { jobId } = parseParams(jobParams, req.params);
      const options = parseInput(discardBody, req.body);
      await administration.discard(jobId, { ...options, actor: actorOf(req) });
      res.json({ jobId, state: 'discarded' });
    },
  };
}

/** A job that waits, for its time or for a retry, waits no longer. */
export function runJobNow({ administration }: Deps): Endpoint {
  return {
    method: 'post',
    path: '/v1/admin/jobs/:jobId/run-now',
    access: admin,
    async handle(req, res) {
      const { jobId } = parseParams(jobParams, req.params);
      await administration.runNow(jobId, { actor: actorOf(req) });
      res.json({ jobId, state: 'queued' });
    },
  };
}
