import { Command, CommanderError } from 'commander';
import { version } from '../platform/version.js';
import { toCliError } from './cli-error.js';
import type { CommandContext } from './commands/context.js';
import { addCancel } from './commands/cancel.js';
import { addDead } from './commands/dead/dead.js';
import { addDoctor } from './commands/doctor.js';
import { addMigrate } from './commands/migrate.js';
import { addOperations } from './commands/operations.js';
import { addSend } from './commands/send.js';
import { addTail } from './commands/tail.js';
import { addToken } from './commands/token.js';

export type CliOptions = Omit<CommandContext, 'exit'>;

/** Runs one command line. @returns the exit code */
export async function runCli(args: readonly string[], options: CliOptions): Promise<number> {
  let exitCode = 0;
  const context: CommandContext = {
    ...options,
    exit: (code) => {
      exitCode = code;
    },
  };
  try {
    await createProgram(context).parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (thrown) {
    // Commander has said by itself what is wrong with the command line, or shown the help that was asked for.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 1;
    report(thrown, context, args.includes('--json'));
    return 1;
  }
}

function createProgram(context: CommandContext): Command {
  const { terminal } = context;
  const program = new Command('synap')
    .description(
      'The command line of Synap: accept a request, do the slow work reliably, tell the browser when it is done.',
    )
    .version(version)
    .option(
      '--url <url>',
      'where Synap is (default: $SYNAP_URL, else the one started last, else http://127.0.0.1:$PORT)',
    )
    .option('--json', 'machine-readable: one JSON value a line')
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      outputError: (text, write) => write(terminal.style.bad(text)),
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('Try --help.')
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  $ synap send note.creation.requested '{"title":"Hello","content":"My first note."}' --wait
  $ synap tail --user ada
  $ synap dead groups
  $ synap doctor

The environment is read as Synap reads it (JWT_SECRET, DATABASE_URL, PORT, …); what is not set is taken from the
development Synap that bin/start has started. docs/cli.md has more.`,
    );
  for (const add of [addSend, addTail, addCancel, addToken, addDead, addOperations, addMigrate, addDoctor])
    add(program, context);
  return program;
}

function report(thrown: unknown, { terminal }: CommandContext, json: boolean): void {
  const { code, message, hint } = toCliError(thrown);
  const text = json
    ? JSON.stringify({ error: { code, message, hint } })
    : `${terminal.style.bad('error')}  ${message}\n       ${hint}`;
  terminal.err(`${text}\n`);
}
