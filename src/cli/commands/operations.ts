import type { Command } from 'commander';
import { callAdmin } from '../http.js';
import { findOperation, operationLine, operationSchema, operationText, watchOperation } from '../operations.js';
import { outputOf, settingsOf, type CommandContext } from './context.js';
import { pageOf } from './dead/answers.js';

export function addOperations(program: Command, context: CommandContext): void {
  const operations = program
    .command('operations')
    .summary('replays and discards of many dead letters')
    .description(
      'Lists, watches and stops the operations that "dead replay" and "dead discard" start with a filter. Needs API_KEY.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ synap operations\n  $ synap operations show 019ac0de-6d3c-7a55-9d3f-2f1f3b8f7c11 --wait\n  $ synap operations stop 019ac0de-6d3c-7a55-9d3f-2f1f3b8f7c11',
    );
  operations
    .command('list', { isDefault: true })
    .summary('the newest first')
    .action(async (_options: unknown, command: Command) => {
      const call = { method: 'GET', path: '/operations?limit=20' } as const;
      const page = await callAdmin(await settingsOf(context, command), call, pageOf(operationSchema));
      const text = page.items.map((each) => operationLine(each, context.terminal.style)).join('\n');
      outputOf(context, command).print(page, text === '' ? 'There are none.' : text);
    });
  operations
    .command('show')
    .summary('one, and with --wait until it ends')
    .argument('<id>', 'its id')
    .option('--wait', 'until it ends')
    .action(async (id: string, options: { readonly wait?: boolean }, command: Command) => {
      const settings = await settingsOf(context, command);
      const output = outputOf(context, command);
      const operation = await findOperation(settings, id);
      if (options.wait === true) await watchOperation(context, output, settings, operation);
      else output.print(operation, operationText(operation, context.terminal.style));
    });
  operations
    .command('stop')
    .summary('do no more of it; what is done stays done')
    .argument('<id>', 'its id')
    .action(async (id: string, _options: unknown, command: Command) => {
      const call = { method: 'DELETE', path: `/operations/${encodeURIComponent(id)}` } as const;
      const operation = await callAdmin(await settingsOf(context, command), call, operationSchema);
      outputOf(context, command).print(operation, operationText(operation, context.terminal.style));
    });
}
