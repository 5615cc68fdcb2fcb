import type { z } from 'zod';
import type { Fault } from './errors.js';

/** What zod found, as faults: each with the path at which the sender can look. A member too many is a fault at its own path. */
export function toFaults(error: z.ZodError | undefined, prefix?: string): Fault[] {
  const before = prefix === undefined ? [] : [prefix];
  return (error?.issues ?? []).flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: [...before, ...issue.path, key].join('.'), message: 'is not known here' }))
      : [{ path: [...before, ...issue.path].join('.'), message: issue.message }],
  );
}
