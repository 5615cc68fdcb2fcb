import { z } from 'zod';
import { deadLetterFilterSchema } from '../../../execution/dead-letter-filter.js';
import { pageQuery } from '../../../features/paging.js';
import type { AdminDeps } from '../../deps.js';
import type { Endpoint } from '../../endpoint.js';
import { orNotFound, parseInput, parseParams } from '../../input.js';
import { admin, jobParams } from './input.js';

/** Strict: a filter that is misspelt must not select everything. */
const selectionQuery = deadLetterFilterSchema.extend({
  ...pageQuery.shape,
  state: z.enum(['open', 'replayed', 'discarded', 'all']).default('open'),
});

type Deps = Pick<AdminDeps, 'deadLetters'>;

/** Newest first. */
export function getDeadLetters({ deadLetters }: Deps): Endpoint {
  return {
    method: 'get',
    path: '/v1/admin/dead-letters',
    access: admin,
    async handle(req, res) {
      const { cursor, limit, ...selection } = parseInput(selectionQuery, req.query);
      res.json(await deadLetters.list(selection, { cursor, limit }));
    },
  };
}

/** By fingerprint and type, largest first: one row for one fault, however many died of it. */
export function getDeadLetterGroups({ deadLetters }: Deps): Endpoint {
  return {
    method: 'get',
    path: '/v1/admin/dead-letters/groups',
    access: admin,
    async handle(req, res) {
      const { cursor, limit, ...selection } = parseInput(selectionQuery, req.query);
      res.json(await deadLetters.groups(selection, { cursor, limit }));
    },
  };
}

/** Everything about one: payload, errors of all attempts, steps, history. */
export function getDeadLetter({ deadLetters }: Deps): Endpoint {
  return {
    method: 'get',
    path: '/v1/admin/dead-letters/:jobId',
    access: admin,
    async handle(req, res) {
      const { jobId } = parseParams(jobParams, req.params);
      res.json(orNotFound(await deadLetters.find(jobId)));
    },
  };
}
