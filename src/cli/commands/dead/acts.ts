import { InvalidArgumentError, type Command } from 'commander';
import { z } from 'zod';
import { CliError } from '../../cli-error.js';
import { callAdmin } from '../../http.js';
import { operationSchema, watchOperation } from '../../operations.js';
import type { Settings } from '../../settings.js';
import { outputOf, settingsOf, type CommandContext } from '../context.js';
import { addFilterOptions, filterOf, type FilterOptions } from './filter.js';

interface ActOptions extends FilterOptions {
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly rate?: number;
  readonly detach?: boolean;
}

interface Act {
  readonly name: 'replay' | 'discard';
  /** What the body of the call says beside the filter. */
  readonly body: Record<string, unknown>;
}

const answerSchema = z.object({ jobId: z.string(), state: z.string(), generation: z.number().optional() });
const matchedSchema = z.object({ matched: z.number() });

export function addDeadActs(dead: Command, context: CommandContext): void {
  const replay = dead
    .command('replay')
    .summary('run one again, or all that match')
    .description('Runs a dead job again, or without a job all open ones that match the filter, at a bounded rate.')
    .argument('[job]', 'its id; without it the filter says which')
    .option('--restart', 'drop the recorded steps and begin anew (default: keep their results)')
    .option('--force', 'also what was replayed 5 times already');
  addBulkOptions(replay, 'replay').action(
    async (job: string | undefined, options: ActOptions & { restart?: boolean; force?: boolean }, command: Command) => {
      const body = { mode: options.restart === true ? 'restart' : 'resume', force: options.force === true };
      await act(context, command, { name: 'replay', body }, job, options);
    },
  );
  const discard = dead
    .command('discard')
    .summary('close one without running it again, or all that match')
    .description(
      'Closes a dead letter, or without a job all open ones that match the filter. A discarded one can still be replayed by its id.',
    )
    .argument('[job]', 'its id; without it the filter says which')
    .requiredOption('--reason <text>', 'why, for the history');
  addBulkOptions(discard, 'discard').action(
    async (job: string | undefined, options: ActOptions & { reason: string }, command: Command) => {
      await act(context, command, { name: 'discard', body: { reason: options.reason } }, job, options);
    },
  );
}

function addBulkOptions(command: Command, name: string): Command {
  return addFilterOptions(command)
    .option('--all', 'every open one')
    .option('--dry-run', 'only say how many')
    .option('--rate <number>', 'at most so many a second: 1 to 1000 (default: 50)', parseRate)
    .option('--detach', 'do not wait for the end')
    .addHelpText(
      'after',
      `
Exit codes: 0 all done, 2 some were skipped or it was stopped, 1 anything else. Ctrl-C ends the watching, not the operation.

Examples:
  $ synap dead ${name} 019ac0de-6d3c-7a55-9d3f-2f1f3b8f7c11${name === 'discard' ? ' --reason "made twice"' : ''}
  $ synap dead ${name} --fingerprint 3f1c9a0b5d7e2c44 --dry-run${name === 'discard' ? ' --reason "a bad release"' : ''}`,
    );
}

async function act(
  context: CommandContext,
  command: Command,
  { name, body }: Act,
  job: string | undefined,
  options: ActOptions,
): Promise<void> {
  const settings = await settingsOf(context, command);
  const filter = filterOf(options);
  const isFiltered = options.all === true || Object.keys(filter).length > 0;
  if ((job !== undefined) === isFiltered) {
    throw new CliError(
      'no_choice',
      job === undefined ? 'Nothing says which dead letters.' : 'A job and a filter were named.',
      'Name a job, or a filter such as --fingerprint, or --all.',
    );
  }
  if (job === undefined) return actOnMany(context, command, settings, { name, body: { ...body, filter } }, options);
  if (options.dryRun === true)
    throw new CliError('no_choice', '--dry-run counts what a filter matches.', 'Leave the job or --dry-run out.');
  const path = `/dead-letters/${encodeURIComponent(job)}/${name}`;
  const answer = await callAdmin(settings, { method: 'POST', path, body }, answerSchema);
  const { good } = context.terminal.style;
  const text = answer.generation === undefined ? answer.state : `${answer.state}, as generation ${answer.generation}`;
  outputOf(context, command).print(answer, `${good(text)}  ${job}`);
}

async function actOnMany(
  context: CommandContext,
  command: Command,
  settings: Settings,
  { name, body }: Act,
  { dryRun, rate, detach }: ActOptions,
): Promise<void> {
  const path = `/dead-letters/${name}`;
  const output = outputOf(context, command);
  if (dryRun === true) {
    const answer = await callAdmin(settings, { method: 'POST', path, body: { ...body, dryRun } }, matchedSchema);
    output.print(answer, `${answer.matched} would be ${name === 'replay' ? 'replayed' : 'discarded'}.`);
    return;
  }
  const order = { ...body, ...(rate !== undefined && { ratePerSecond: rate }) };
  const started = await callAdmin(settings, { method: 'POST', path, body: order }, operationSchema);
  if (detach === true) output.print(started, `started, ${started.total} to do: synap operations show ${started.id}`);
  else await watchOperation(context, output, settings, started);
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!Number.isInteger(rate) || rate < 1 || rate > 1_000) throw new InvalidArgumentError('Write 1 to 1000.');
  return rate;
}
