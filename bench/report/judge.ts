import type { Aim, Figure } from '../measure.ts';

/** `shown`: nothing was aimed at. `limit`: missed, with a measured reason (bench/limits.ts). */
export type Verdict = 'met' | 'limit' | 'missed' | 'shown';

export function judge({ id, aim }: Figure, limits: Readonly<Record<string, string>>): Verdict {
  if (aim === undefined) return 'shown';
  if (reaches(aim)) return 'met';
  return id in limits ? 'limit' : 'missed';
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
