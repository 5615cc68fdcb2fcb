import type { Command } from 'commander';
import { parseDuration } from '../durations.js';
import { tokenFor } from '../settings.js';
import { outputOf, settingsOf, type CommandContext } from './context.js';

interface Options {
  readonly user: string;
  readonly expires: number;
}

export function addToken(program: Command, context: CommandContext): void {
  program
    .command('token')
    .summary('make a token for a user')
    .description(
      'Makes a token that signs in as a user: HS256, signed with JWT_SECRET, the user id in the claim "sub".',
    )
    .requiredOption('--user <id>', 'the user id')
    .option('--expires <time>', 'how long it is good for: 30m, 1h, 7d', parseDuration, 3_600_000)
    .addHelpText(
      'after',
      `
Examples:
  $ synap token --user ada
  $ TOKEN=$(synap token --user ada --expires 7d)
  $ synap token --user ada --json`,
    )
    .action(async (options: Options, command: Command) => {
      const settings = await settingsOf(context, command);
      const lifeSeconds = Math.max(1, Math.round(options.expires / 1_000));
      const token = await tokenFor(settings, { user: options.user }, lifeSeconds);
      const expiresAt = new Date(Date.now() + lifeSeconds * 1_000).toISOString();
      outputOf(context, command).print({ token, userId: options.user, expiresAt }, token);
    });
}
