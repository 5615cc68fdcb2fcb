import type { Command } from 'commander';
import { parseDuration } from '../../durations.js';

/** As the options of a command give it. */
export interface FilterOptions {
  readonly type?: string;
  readonly user?: string;
  readonly fingerprint?: string;
  readonly code?: string;
  readonly since?: string;
  readonly until?: string;
}

export function addFilterOptions(command: Command): Command {
  return command
    .option('--type <type>', 'of this event type')
    .option('--user <id>', 'of this user')
    .option('--fingerprint <id>', 'that died of this, as "dead groups" names it')
    .option('--code <code>', 'with this error code')
    .option('--since <time>', 'that died since: 2h, 7d, or 2026-01-31T12:00:00Z', toTime)
    .option('--until <time>', 'that died before then', toTime);
}

/** The filter as the API has it. */
export function filterOf({ type, user, fingerprint, code, since, until }: FilterOptions): Record<string, string> {
  const given = { type, userId: user, fingerprint, code, since, until };
  return Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** What is no time of the calendar is a duration before now. @throws InvalidArgumentError */
function toTime(text: string): string {
  const isDate = /^\d{4}-/.test(text) && !Number.isNaN(Date.parse(text));
  return new Date(isDate ? Date.parse(text) : Date.now() - parseDuration(text)).toISOString();
}
