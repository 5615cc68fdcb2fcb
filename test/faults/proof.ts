import type { MutantRuns } from './mutant-runs.ts';
import type { Mutation } from './mutation-list.ts';
import type { Result } from './report.ts';

type Runs = Pick<MutantRuns, 'run'>;

/** What a fault came to on one build. */
export interface Sight {
  /** Undefined where it came to no verdict. */
  readonly violated: readonly string[] | undefined;
  /** In words: the invariants, or why there is no verdict. */
  readonly text: string;
}

export interface Proof {
  readonly mutation: Mutation;
  /** The same fault with the guard in its place. */
  readonly control: Sight;
  readonly seen: Sight;
  readonly isProven: boolean;
}

function toSight(result: Result | undefined): Sight {
  if (result === undefined) return { violated: undefined, text: 'no verdict: the run ended before it' };
  const violated = [...new Set(result.violations.map(({ invariant }) => invariant))];
  return { violated, text: violated.length === 0 ? 'green' : violated.map((name) => `\`${name}\``).join(', ') };
}

const failed = (thrown: unknown): Sight => ({
  violated: undefined,
  // In one cell of a table.
  text: `no verdict: ${String(thrown).replaceAll(/\s+/g, ' ').replaceAll('|', '/')}`,
});

const overlapsOf = ({ overlaps = [] }: Mutation) => overlaps.flatMap(({ patches }) => patches);

/** Each fault once on the build that has the guard: with nothing out but what overlaps with it. */
export async function runControls(
  runs: Runs,
  mutations: readonly Mutation[],
  onRun: (about: string) => void,
): Promise<ReadonlyMap<Mutation, Sight>> {
  const sights = new Map<Mutation, Sight>();
  const builds = Map.groupBy(mutations, ({ overlaps = [] }) => overlaps.map(({ name }) => name).join(', '));
  for (const [out, group] of builds) {
    const [first] = group;
    if (first === undefined) continue;
    const scenarios = [...new Set(group.map(({ scenario }) => scenario))];
    onRun(`with ${out === '' ? 'all guards' : `all guards but ${out}`}: ${scenarios.join(', ')}`);
    const ran = await runs.run(overlapsOf(first), scenarios).catch(failed);
    for (const mutation of group) sights.set(mutation, 'text' in ran ? ran : toSight(ran.get(mutation.scenario)));
  }
  return sights;
}

/** Only what nothing else explains counts, and only where the same fault came about and did no harm with the guard in its place. */
export async function prove(runs: Runs, mutation: Mutation, control: Sight): Promise<Proof> {
  const { patches, scenario, expected } = mutation;
  const seen = await runs
    .run([...overlapsOf(mutation), ...patches], [scenario])
    .then((results) => toSight(results.get(scenario)), failed);
  const isHarmless = control.violated?.length === 0;
  const isReached = seen.violated?.includes('fault-not-reached') === false;
  const isSeen = isReached && expected.some((invariant) => seen.violated?.includes(invariant));
  return { mutation, control, seen, isProven: isHarmless && isSeen };
}

/** Lines of the table in docs/reliability.md. */
export const proofHeader =
  '| guard taken out | where | what is wrong without it | fault | out as well | with it | went red for |\n' +
  '| --- | --- | --- | --- | --- | --- | --- |';

export function proofRow({ mutation, control, seen, isProven }: Proof): string {
  const { guard, where, without, scenario, overlaps = [], expected } = mutation;
  const out = overlaps.map(({ name }) => name).join(', ');
  const verdict = isProven ? '' : ` **NOT PROVEN**: expected green with it, and without it ${expected.join(' or ')}`;
  return `| ${[guard, `src/${where}.ts`, without, scenario, out, control.text, `${seen.text}${verdict}`].join(' | ')} |`;
}
