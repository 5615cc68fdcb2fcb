import { runCli } from '../../src/cli/program.js';
import type { Environment } from '../../src/cli/settings.js';
import { createTerminal } from '../../src/cli/terminal.js';

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Ways {
  readonly environment: Environment;
  readonly input?: string;
  readonly signal?: AbortSignal;
  onErr?(text: string): void;
}

/** A command line as a shell would run it. */
export async function runLine(line: readonly string[], ways: Ways): Promise<Run> {
  const written = { out: '', err: '' };
  const sink = (name: 'out' | 'err') => ({
    write: (text: string) => {
      written[name] += text;
      if (name === 'err') ways.onErr?.(text);
    },
  });
  const { environment } = ways;
  const code = await runCli(line, {
    environment,
    terminal: createTerminal(sink('out'), sink('err'), environment),
    readInput: () => Promise.resolve(ways.input ?? ''),
    signal: ways.signal ?? new AbortController().signal,
  });
  return { code, ...written };
}

/** Of --json. */
export const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
