import type { Command } from 'commander';
import { cancelRequest, type CancelledRequest } from '../http.js';
import { tokenFor, type Who } from '../settings.js';
import { outputOf, settingsOf, type CommandContext } from './context.js';

export function addCancel(program: Command, context: CommandContext): void {
  program
    .command('cancel')
    .summary('end what is unfinished of a request')
    .description('What waits never runs, what runs is aborted, and the user is told. What has ended stays as it is.')
    .argument('<request>', 'the request id')
    .option('--user <id>', 'whose it is (default: "demo" in development)')
    .option('--token <token>', 'sign in with this token instead')
    .addHelpText('after', '\nExample:\n  $ synap cancel 019ac0de-6d3c-7a55-9d3f-2f1f3b8f7c11 --user ada')
    .action(async (requestId: string, who: Who, command: Command) => {
      const settings = await settingsOf(context, command);
      const request = await cancelRequest(settings.url, await tokenFor(settings, who), requestId);
      outputOf(context, command).print(request, textOf(request));
    });
}

function textOf({ requestId, status, jobs }: CancelledRequest): string {
  const lines = jobs.map(({ type, status: end }) => `  ${end.padEnd(10)} ${type}`);
  return [`${status}  ${requestId}`, ...lines].join('\n');
}
