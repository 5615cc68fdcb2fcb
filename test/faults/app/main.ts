import { createInterface } from 'node:readline';
import { faults } from './feature.ts';
import { built } from './kit.ts';

// One process of Synap with the features that the scenarios need. Its supervisor arms fault points by a line on its input,
// and whoever holds that input is gone when it ends.
const { armFault, parseFault } = await built('platform/fault-points');
const { runProgram } = await built('processes/program');

/** A process that a worker starts for one job has a channel to that worker, and no input. */
const isOfWorker = process.channel !== undefined;
if (!isOfWorker) {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    armFault(parseFault(line));
    process.stdout.write(`{"msg":"armed","fault":"${line}"}\n`);
  });
  lines.on('close', () => process.exit(1));
}

await runProgram([faults]);
