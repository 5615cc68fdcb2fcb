import type { Clock } from '../../platform/clock.js';

/** What `promise` resolves with, or undefined where it takes longer. Then nobody waits for it any more; it goes on. */
export async function atMost<T>(ms: number, promise: Promise<T>, clock: Clock): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const cancel = clock.after(ms, () => late.resolve(undefined));
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    cancel();
  }
}
