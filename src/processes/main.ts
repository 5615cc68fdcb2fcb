import { features } from '../features/index.js';
import { runProgram } from './program.js';

await runProgram(features);
