import { readFile } from 'node:fs/promises';
import { CliError } from '../cli-error.js';
import type { CommandContext } from './context.js';

/** Data on a command line: JSON, `@FILE`, or `-` for standard input. @throws CliError */
export async function readJson(argument: string, context: Pick<CommandContext, 'readInput'>): Promise<unknown> {
  return parseJson(await textOf(argument, context));
}

async function textOf(argument: string, context: Pick<CommandContext, 'readInput'>): Promise<string> {
  if (argument === '-') return context.readInput();
  if (!argument.startsWith('@')) return argument;
  return readFile(argument.slice(1), 'utf8').catch(() => {
    throw new CliError(
      'no_file',
      `The file ${argument.slice(1)} cannot be read.`,
      'Give the data as JSON, or @ and a path from here.',
    );
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new CliError(
      'malformed_json',
      `The data is not JSON: ${reason}.`,
      `Quote it for the shell: '{"title":"Hello"}'.`,
    );
  }
}
