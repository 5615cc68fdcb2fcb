import type { Environment } from './environment.js';

/** Rejects where `promise` takes longer: what a page gives may never answer. */
export function withinTime<T>({ after }: Pick<Environment, 'after'>, limitMs: number, promise: Promise<T>): Promise<T> {
  const { promise: limit, reject } = Promise.withResolvers<never>();
  const cancel = after(limitMs, () => reject(new Error(`It took longer than ${limitMs / 1_000} s.`)));
  return Promise.race([promise, limit]).finally(cancel);
}
