import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { CommandContext, Output } from './commands/context.js';
import { showAge } from './durations.js';
import { callAdmin } from './http.js';
import type { Settings } from './settings.js';
import type { Style } from './terminal.js';

export const operationSchema = z.looseObject({
  id: z.string(),
  action: z.string(),
  actor: z.string(),
  filter: z.record(z.string(), z.unknown()),
  ratePerSecond: z.number(),
  state: z.enum(['running', 'completed', 'cancelled']),
  total: z.number(),
  done: z.number(),
  skipped: z.number(),
  lastError: z.string().nullable(),
  startedAt: z.string(),
  finishedAt: z.string().nullable(),
});
export type Operation = z.infer<typeof operationSchema>;

const marks = { running: 'wait', completed: 'good', cancelled: 'bad' } as const;
const shownState = { running: 'running', completed: 'completed', cancelled: 'stopped' } as const;

/** Some of what it was to do was not done. */
const exitPartly = 2;
const everyMs = 300;

export function findOperation(settings: Settings, id: string): Promise<Operation> {
  return callAdmin(settings, { method: 'GET', path: `/operations/${encodeURIComponent(id)}` }, operationSchema);
}

/** `running    replay   120 of 400, 3 skipped   019ac0de-…   2 min ago` */
export function operationLine(operation: Operation, style: Style): string {
  const { id, action, state, startedAt } = operation;
  const columns = [
    style[marks[state]](shownState[state].padEnd(9)),
    action.padEnd(7),
    figures(operation).padEnd(28),
    style.faint(id),
    style.faint(showAge(startedAt)),
  ];
  return columns.join('  ');
}

export function operationText(operation: Operation, style: Style): string {
  const { actor, filter, ratePerSecond, startedAt, finishedAt, lastError } = operation;
  const chosen = Object.entries(filter).map(([name, value]) => `${name}: ${String(value)}`);
  const rows = [
    ['which', chosen.length === 0 ? 'all open ones' : chosen.join(', ')],
    ['by', actor],
    ['rate', `${ratePerSecond} a second`],
    ['started', startedAt],
    ...(finishedAt === null ? [] : [['ended', finishedAt] as const]),
    ...(lastError === null ? [] : [['last error', style.bad(lastError)] as const]),
  ] as const;
  return [
    operationLine(operation, style),
    ...rows.map(([name, value]) => `  ${style.faint(name.padEnd(10))}  ${value}`),
  ].join('\n');
}

function figures({ done, skipped, total }: Operation): string {
  return `${done} of ${total}${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

/** A line that is written over until the end; Ctrl-C ends the watching alone. The exit code says whether all was done. */
export async function watchOperation(
  context: CommandContext,
  output: Output,
  settings: Settings,
  started: Operation,
): Promise<void> {
  const { terminal, signal } = context;
  let operation = started;
  while (operation.state === 'running' && !signal.aborted) {
    if (terminal.isScreen && !output.json) terminal.err(`\r\u001B[K${progressLine(operation, terminal.style)}`);
    // A signal that is aborted meanwhile ends the wait; nothing else can go wrong with it.
    await wait(everyMs, undefined, { signal }).catch(() => undefined);
    operation = await findOperation(settings, operation.id);
  }
  if (terminal.isScreen && !output.json) terminal.err('\r\u001B[K');
  output.print(operation, operationText(operation, terminal.style));
  if (operation.state === 'running') terminal.err(`It goes on without you: synap operations show ${operation.id}\n`);
  else if (operation.state === 'cancelled' || operation.skipped > 0) context.exit(exitPartly);
}

const barWidth = 30;

function progressLine(operation: Operation, style: Style): string {
  const { done, skipped, total } = operation;
  const filled = total === 0 ? barWidth : Math.min(barWidth, Math.floor(((done + skipped) / total) * barWidth));
  const bar = `${style.good('━'.repeat(filled))}${style.faint('━'.repeat(barWidth - filled))}`;
  return `${bar}  ${figures(operation)}`;
}
