import { readdir } from 'node:fs/promises';
import type { Command } from 'commander';
import { checkConfiguration, checkNode } from '../doctor/configuration.js';
import type { Finding } from '../doctor/finding.js';
import { checkPostgres } from '../doctor/postgres.js';
import { checkRedis } from '../doctor/redis.js';
import { checkServer } from '../doctor/server.js';
import { readSettings, type Environment } from '../settings.js';
import type { Style } from '../terminal.js';
import { outputOf, type CommandContext } from './context.js';
import { migrationsDir } from './migrate.js';

export function addDoctor(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .summary('check what Synap needs')
    .description(
      'Checks the configuration, Node, PostgreSQL, Redis and the clocks, and says what to do. Changes nothing.',
    )
    .addHelpText(
      'after',
      '\nExit code 1 where something fails; warnings do not count.\n\nExamples:\n  $ synap doctor\n  $ synap doctor --json',
    )
    .action(async (_options: unknown, command: Command) => {
      const configuration = checkConfiguration(context.environment);
      const { url } = command.optsWithGlobals<{ url?: string }>();
      const rest = configuration.usable === undefined ? [] : await checkServices(configuration.usable, url);
      const findings = [...checkNode(process.version), ...configuration.findings, ...rest];
      const isHealthy = findings.every(({ status }) => status !== 'fail');
      outputOf(context, command).print({ ok: isHealthy, findings }, report(findings, context.terminal.style));
      if (!isHealthy) context.exit(1);
    });
}

async function checkServices(environment: Environment, givenUrl: string | undefined): Promise<Finding[]> {
  const { config, databaseUrl, redisUrl, url } = await readSettings(environment, givenUrl);
  const migrations = await readMigrations();
  const parts = await Promise.all([
    databaseUrl === undefined ? ownDatabase : checkPostgres({ databaseUrl, config, migrations }),
    redisUrl === undefined ? [] : checkRedis(redisUrl),
    checkServer(url),
  ]);
  return parts.flat();
}

const ownDatabase: Finding[] = [
  { part: 'postgres', status: 'ok', message: 'DATABASE_URL is not set: bin/start brings an embedded PostgreSQL' },
];

async function readMigrations(): Promise<string[]> {
  const entries = await readdir(migrationsDir, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}

const colours = { ok: 'good', warn: 'wait', fail: 'bad' } as const;

function report(findings: readonly Finding[], style: Style): string {
  const lines = findings.map(({ part, status, message, advice }) => {
    const line = `${style[colours[status]](status.padEnd(4))}  ${part.padEnd(13)}  ${message}`;
    return advice === undefined ? line : `${line}\n${' '.repeat(21)}${style.faint(advice)}`;
  });
  const [failed, warned] = (['fail', 'warn'] as const).map(
    (wanted) => findings.filter(({ status }) => status === wanted).length,
  );
  const summary = failed === 0 ? 'Synap has what it needs' : `${failed} to correct`;
  return `${lines.join('\n')}\n\n${style.strong(summary)}${warned === 0 ? '' : `, ${warned} to know`}`;
}
