import { features, runProgram } from './features.ts';

/** Synap with handlers that harm their process, run by Node as it stands. */
await runProgram(features);
