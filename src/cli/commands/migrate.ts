import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { createLogger } from '../../platform/logger.js';
import { applyMigrations } from '../../platform/migrate.js';
import { migrateQueues } from '../../queues/postgres-store.js';
import { CliError } from '../cli-error.js';
import { outputOf, settingsOf, type CommandContext } from './context.js';

export const migrationsDir = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../prisma/migrations');

export function addMigrate(program: Command, context: CommandContext): void {
  program
    .command('migrate')
    .summary("bring the database to this version's schema")
    .description(
      "Applies this version's migrations to DATABASE_URL (in development, to the running Synap's database), and the queues' own. Any number may run at once; one that is up to date is left alone.",
    )
    .addHelpText('after', '\nExamples:\n  $ synap migrate\n  $ DATABASE_URL=postgresql://… synap migrate --json')
    .action(async (_options: unknown, command: Command) => {
      const { databaseUrl } = await settingsOf(context, command);
      if (databaseUrl === undefined) {
        throw new CliError(
          'no_database',
          'No database is known here.',
          'Set DATABASE_URL, or start Synap with bin/start, which migrates by itself.',
        );
      }
      // The names are this command's result; warnings of the database's state go where errors go.
      const logger = createLogger({ level: 'silent', pretty: false });
      const applied = await applyMigrations({
        databaseUrl,
        migrationsDir,
        logger,
        afterwards: () => migrateQueues(databaseUrl),
      });
      const text =
        applied.length === 0 ? 'The database is up to date.' : applied.map((name) => `applied ${name}`).join('\n');
      outputOf(context, command).print({ applied }, text);
    });
}
