import type { Bench } from './measure.ts';

/**
 * Runs every contender once per round, in an order that changes from round to round, so that whatever drifts on the machine
 * meets all of them alike. A contender that fails, fails the measure.
 */
export async function interleave<Name extends string, Sample>(
  bench: Bench,
  rounds: number,
  contenders: Readonly<Record<Name, (round: number) => Promise<Sample>>>,
): Promise<Record<Name, Sample[]>> {
  const names = Object.keys(contenders) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as Sample[]])) as Record<Name, Sample[]>;
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of bench.random.shuffled(names)) {
      bench.log(`round ${round} of ${rounds}: ${name}`);
      samples[name].push(await contenders[name](round));
    }
  }
  return samples;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (upper + lower) / 2;
}

/**
 * The median over the rounds of one contender's figure divided by the other's in the same round: neighbours in time share the
 * machine's mood, medians of each do not.
 */
export function medianRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, round) => value / (theirs[round] ?? Number.NaN)));
}
