import { parseArgs } from 'node:util';
import { MutantRuns } from './mutant-runs.ts';
import { mutations } from './mutation-list.ts';
import { proofHeader, proofRow, prove, runControls } from './proof.ts';

// Takes one guard after the other out of a copy of the build and expects the suite to go red, for the reason that the guard stands
// there for, where it is green with the guard. A guard that can be taken out unnoticed is not proven.
const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, seed: { type: 'string', default: '1' } },
});
const say = (text: string) => process.stdout.write(`${text}\n`);

const runs = new MutantRuns(values.seed);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => void runs.end().finally(() => process.exit(130)));

const wanted = values.only?.flatMap((list) => list.split(','));
const unknown = wanted?.filter((name) => !mutations.some(({ guard }) => guard === name)) ?? [];
if (unknown.length > 0)
  throw new Error(`no guard is named ${unknown.join(', ')}: ${mutations.map(({ guard }) => guard).join(', ')}`);
const chosen = mutations.filter(({ guard }) => wanted === undefined || wanted.includes(guard));

const controls = await runControls(runs, chosen, say);
say(`\n${proofHeader}`);
let proven = 0;
for (const mutation of chosen) {
  const proof = await prove(runs, mutation, controls.get(mutation) ?? { violated: undefined, text: 'no verdict' });
  if (proof.isProven) proven += 1;
  say(proofRow(proof));
}
say(`\n${proven} of ${chosen.length} guards proven. The same again: npm run faults:mutations -- --seed ${values.seed}`);
process.exitCode = proven === chosen.length ? 0 : 1;
