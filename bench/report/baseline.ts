import type { Figure } from '../measure.ts';
import { median } from '../rounds.ts';
import { ratioOf } from './judge.ts';

/** What quick runs came to, by figure: the ratio to the peer. Figures without one are of their machine alone and are not compared. */
export interface Baseline {
  readonly commit: string;
  readonly at: string;
  /** The last few runs of `--quick --update`, oldest first: how far they lie apart is how far a figure may stray. */
  readonly figures: Readonly<Record<string, readonly number[]>>;
}

export interface Warning {
  readonly id: string;
  readonly now: number;
  readonly baseline: number;
  /** 0.2: a fifth worse than the baseline. */
  readonly worseBy: number;
  readonly tolerance: number;
}

const leastTolerance = 0.15;
const keptRuns = 5;

/** Those that are worse than the baseline by more than its own runs differ, and by more than 15 %. */
export function compareWithBaseline(figures: readonly Figure[], baseline: Baseline): Warning[] {
  return figures.flatMap((figure) => {
    const runs = baseline.figures[figure.id];
    if (runs === undefined || runs.length === 0) return [];
    const usual = median(runs);
    const tolerance = Math.max(leastTolerance, ...runs.map((run) => Math.abs(run - usual) / usual));
    const now = ratioOf(figure);
    if (now === undefined) return [];
    const worseBy = figure.better === 'more' ? 1 - now / usual : now / usual - 1;
    return worseBy > tolerance ? [{ id: figure.id, now, baseline: usual, worseBy, tolerance }] : [];
  });
}

/** With this run as the newest of each figure; figures that did not run keep theirs. */
export function updateBaseline(
  figures: readonly Figure[],
  before: Baseline | undefined,
  { commit, at }: { readonly commit: string; readonly at: string },
): Baseline {
  const updated = Object.fromEntries(
    figures.flatMap((figure) => {
      const now = ratioOf(figure);
      if (now === undefined) return [];
      return [[figure.id, [...(before?.figures[figure.id] ?? []), Number(now.toPrecision(4))].slice(-keptRuns)]];
    }),
  );
  return { commit, at, figures: { ...before?.figures, ...updated } };
}
