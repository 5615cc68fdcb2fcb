import { InvalidArgumentError, Option, type Command } from 'commander';
import type { z } from 'zod';
import { callAdmin } from '../../http.js';
import type { Style } from '../../terminal.js';
import { outputOf, settingsOf, type CommandContext } from '../context.js';
import { detailSchema, groupSchema, letterSchema, pageOf } from './answers.js';
import { addFilterOptions, filterOf, type FilterOptions } from './filter.js';
import { detailText, groupLines, letterLines } from './show.js';

interface ListOptions extends FilterOptions {
  readonly state: string;
  readonly limit: number;
  readonly cursor?: string;
}

interface Listing<Item> {
  readonly path: string;
  readonly item: z.ZodType<Item>;
  readonly lines: (item: Item, style: Style) => string;
}

export function addDeadReads(dead: Command, context: CommandContext): void {
  addListing(dead.command('list').summary('the newest first'), context, {
    path: '/dead-letters',
    item: letterSchema,
    lines: letterLines,
  });
  addListing(dead.command('groups').summary('what they died of, the most frequent first'), context, {
    path: '/dead-letters/groups',
    item: groupSchema,
    lines: groupLines,
  });
  dead
    .command('show')
    .summary('everything about one')
    .description('Shows the payload, the error of every attempt, the recorded steps and what operators did.')
    .argument('<job>', 'its id, which is that of its event')
    .action(async (job: string, _options: unknown, command: Command) => {
      const path = `/dead-letters/${encodeURIComponent(job)}`;
      const detail = await callAdmin(await settingsOf(context, command), { method: 'GET', path }, detailSchema);
      outputOf(context, command).print(detail, detailText(detail, context.terminal.style));
    });
}

function addListing<Item>(command: Command, context: CommandContext, { path, item, lines }: Listing<Item>): void {
  addFilterOptions(command)
    .addOption(
      new Option('--state <state>', 'in this state').choices(['open', 'replayed', 'discarded', 'all']).default('open'),
    )
    .option('--limit <number>', 'at most so many, up to 100', parseLimit, 20)
    .option('--cursor <text>', 'go on where a listing ended')
    .action(async (options: ListOptions, self: Command) => {
      const { state, limit, cursor } = options;
      const query = new URLSearchParams({
        ...filterOf(options),
        state,
        limit: String(limit),
        ...(cursor !== undefined && { cursor }),
      });
      const settings = await settingsOf(context, self);
      const page = await callAdmin(settings, { method: 'GET', path: `${path}?${query.toString()}` }, pageOf(item));
      const { style, err } = context.terminal;
      const output = outputOf(context, self);
      const text = page.items.map((each) => lines(each, style)).join('\n');
      output.print(page, text === '' ? 'There are none.' : text);
      if (page.nextCursor !== undefined && !output.json) err(style.faint(`more: --cursor ${page.nextCursor}\n`));
    });
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) throw new InvalidArgumentError('Write 1 to 100.');
  return limit;
}
