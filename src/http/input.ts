import type { Request } from 'express';
import { z } from 'zod';
import { SynapError } from '../platform/errors.js';
import { toFaults } from '../platform/faults.js';

/** @throws SynapError `validation_failed` with the path of each fault. */
export function parseInput<T>(schema: z.ZodType<T>, given: unknown): T {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const faults = toFaults(parsed.error);
  throw new SynapError('validation_failed', faults.map(({ path, message }) => `${path} ${message}`).join('; '), {
    faults,
  });
}

/** Parameters of a path. One that cannot be is one that does not exist. @throws SynapError `not_found`. */
export function parseParams<T>(schema: z.ZodType<T>, given: unknown): T {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new SynapError('not_found', `malformed parameters: ${parsed.error.message}`);
}

/** @throws SynapError `not_found` where there is nothing, or nothing of this user. */
export function orNotFound<T>(found: T | undefined): T {
  if (found === undefined) throw new SynapError('not_found', 'nothing of this user under that id');
  return found;
}

export const eventIdParams = z.object({ id: z.uuid().toLowerCase() });

const printable = /^[\x20-\x7e]{1,255}$/;

/** The Idempotency-Key of a call, as an option of the acceptor. */
export function idempotencyOf(req: Request): { readonly idempotencyKey?: string } {
  const idempotencyKey = req.get('idempotency-key');
  if (idempotencyKey === undefined) return {};
  if (printable.test(idempotencyKey)) return { idempotencyKey };
  const faults = [{ path: 'Idempotency-Key', message: 'must be 1 to 255 printable ASCII characters' }];
  throw new SynapError('validation_failed', 'malformed Idempotency-Key', { faults });
}
