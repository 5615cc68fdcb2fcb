import type { ReconnectOptions } from './types.js';

export const defaultReconnect: Required<ReconnectOptions> = {
  attempts: 10,
  delayMs: 1_000,
  maxDelayMs: 60_000,
  slowRetryMs: 60_000,
};

/**
 * How long to wait before an attempt, counted from 1: doubled each time, and half of it jitter, so that the clients of a server that
 * went away do not all come at once.
 * @param random from 0 to 1
 */
export function delayBefore(
  attempt: number,
  { attempts, delayMs, maxDelayMs, slowRetryMs }: Required<ReconnectOptions>,
  random: number,
): number {
  const whole = attempt > attempts ? slowRetryMs : Math.min(maxDelayMs, delayMs * 2 ** (attempt - 1));
  return whole * (0.5 + random / 2);
}
