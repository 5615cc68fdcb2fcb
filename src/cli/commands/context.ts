import type { Command } from 'commander';
import { readSettings, type Environment, type Settings } from '../settings.js';
import type { Terminal } from '../terminal.js';

/** What every command gets. */
export interface CommandContext {
  readonly environment: Environment;
  readonly terminal: Terminal;
  /** Text that was piped in. */
  readonly readInput: () => Promise<string>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** The exit code, where it is not 0. */
  readonly exit: (code: number) => void;
}

interface Globals {
  readonly url?: string;
  readonly json?: boolean;
}

export interface Output {
  readonly json: boolean;
  /** One JSON value on one line, or the text. */
  print(value: unknown, text: string): void;
}

export function outputOf(context: CommandContext, command: Command): Output {
  const json = command.optsWithGlobals<Globals>().json === true;
  return {
    json,
    print: (value, text) => context.terminal.out(`${json ? JSON.stringify(value) : text}\n`),
  };
}

export function settingsOf(context: CommandContext, command: Command): Promise<Settings> {
  return readSettings(context.environment, command.optsWithGlobals<Globals>().url);
}
