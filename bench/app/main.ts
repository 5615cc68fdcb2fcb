import { built } from '../built.ts';
import { bench } from './feature.ts';

// One process of Synap with the benchmark's handlers.
const { runProgram } = await built('processes/program');

await runProgram([bench]);
