import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { Live } from '../live.js';
import { sessionOf, type Who } from '../settings.js';
import { notificationLine } from '../show.js';
import { outputOf, settingsOf, type CommandContext } from './context.js';

interface Options extends Who {
  readonly room?: string;
  readonly count?: number;
}

export function addTail(program: Command, context: CommandContext): void {
  program
    .command('tail')
    .summary('show notifications as they arrive')
    .description("Shows a user's notifications as they arrive, one a line, in order and without gaps over reconnects.")
    .option('--user <id>', 'whose (default: "demo" in development)')
    .option('--token <token>', 'sign in with this token instead')
    .option('--room <name>', 'another room of theirs: request_<requestId>, from its first notification on')
    .option('--count <number>', 'end after so many', parseCount)
    .addHelpText(
      'after',
      `
Examples:
  $ synap tail --user ada
  $ synap tail --user ada --room request_order-17
  $ synap tail --user ada --json | jq .type`,
    )
    .action(async (options: Options, command: Command) => {
      const settings = await settingsOf(context, command);
      const session = await sessionOf(settings, options);
      const { style, err } = context.terminal;
      const output = outputOf(context, command);
      const end = Promise.withResolvers<void>();
      let left = options.count ?? Infinity;
      const live = await Live.connect({
        url: settings.url,
        token: session.token,
        onNotification: (notification) => {
          if (left <= 0) return;
          output.print(notification, notificationLine(notification, style));
          left -= 1;
          if (left === 0) end.resolve();
        },
        onConnection: (isConnected) =>
          err(style.faint(isConnected ? 'connected again\n' : 'connection lost, trying again\n')),
        onEnd: end.reject,
      });
      try {
        context.signal.addEventListener('abort', () => end.resolve());
        const room = options.room ?? `user_${session.userId}`;
        await live.subscribe(room, options.room === undefined ? 'now' : 'beginning');
        err(style.faint(`listening to ${room} at ${settings.url}; Ctrl-C ends\n`));
        await end.promise;
      } finally {
        live.close();
      }
    });
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('Write a whole number from 1.');
  return count;
}
