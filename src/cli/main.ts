import { text } from 'node:stream/consumers';
import { runCli } from './program.js';
import { createTerminal } from './terminal.js';

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());

// A reader that has seen enough (head, less) closes the pipe; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await runCli(process.argv.slice(2), {
  environment: process.env,
  terminal: createTerminal(process.stdout, process.stderr, process.env),
  readInput: () => text(process.stdin),
  signal: interrupted.signal,
});
