import type { Aim, Figure } from '../measure.ts';

/** Why an aim is missed, and how far: what is worse than that is no limit but a step back. */
export interface Limit {
  readonly reason: string;
  /** In the unit of what the aim judges. */
  readonly noWorseThan: number;
}

export type Limits = Readonly<Record<string, Limit>>;

/** `shown`: nothing was aimed at. `limit`: missed, with a measured reason (bench/limits.ts). */
export type Verdict = 'met' | 'limit' | 'missed' | 'shown';

export function judge({ id, aim }: Figure, limits: Limits): Verdict {
  if (aim === undefined) return 'shown';
  if (reaches(aim)) return 'met';
  const limit = limits[id];
  if (limit === undefined) return 'missed';
  const { atLeast, atMost } = aim;
  const moved = {
    ...(atLeast !== undefined && { atLeast: limit.noWorseThan }),
    ...(atMost !== undefined && { atMost: limit.noWorseThan }),
  };
  return reaches({ ...aim, ...moved }) ? 'limit' : 'missed';
}

/** A figure that could not be measured reaches nothing. */
function reaches({ judged, atLeast, atMost }: Aim): boolean {
  if (!Number.isFinite(judged)) return false;
  return (atLeast === undefined || judged >= atLeast) && (atMost === undefined || judged <= atMost);
}

/**
 * Synap's figure divided by its peer's. Where the aim is a ratio, what it judged is the one: the median over the rounds, which is
 * not the ratio of the medians.
 */
export function ratioOf({ synap, peer, aim }: Figure): number | undefined {
  if (aim?.text.includes('×') === true) return aim.judged;
  return peer === undefined ? undefined : synap / peer.value;
}
