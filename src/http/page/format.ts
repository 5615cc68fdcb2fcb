import type { WireNotification } from '../../realtime/contract.js';
import { asObject, textOf } from './core/json.js';

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const hour = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const relativeDay = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

const dayMs = 86_400_000;

export const timeOf = (iso: string): string => clock.format(new Date(iso));

/** Today's by the hour, older ones by the day. */
export function shortTime(iso: string, now = new Date()): string {
  const at = new Date(iso);
  return at.toDateString() === now.toDateString() ? hour.format(at) : day.format(at);
}

/** "tomorrow", "in 3 days", and beyond a week the date, with the year where it is another. */
export function dueText(iso: string, now = new Date()): string {
  const days = Math.round((startOfDay(new Date(iso)) - startOfDay(now)) / dayMs);
  if (Math.abs(days) <= 7) return relativeDay.format(days, 'day');
  const due = new Date(iso);
  return (due.getFullYear() === now.getFullYear() ? day : dayOfYear).format(due);
}

export const isPast = (iso: string, now = new Date()): boolean => startOfDay(new Date(iso)) < startOfDay(now);

function startOfDay(at: Date): number {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
}

export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  return count < 1_000_000 ? `${(count / 1_000).toFixed(1)} kB` : `${(count / 1_000_000).toFixed(1)} MB`;
}

const headlines: Readonly<Record<string, string>> = {
  'note.creation.started': 'Note is being stored',
  'note.creation.completed': 'Note saved',
  'note.creation.failed': 'Note could not be saved',
  'task.creation.completed': 'Task added',
  'task.creation.failed': 'Task could not be added',
  'task.completion.processed': 'Task completed',
  'task.completion.failed': 'Task could not be completed',
  'project.creation.completed': 'Project created',
  'project.creation.failed': 'Project could not be created',
  'conversation.message.received': 'Message received',
  'conversation.response.generated': 'Answer received',
  'conversation.message.failed': 'No answer',
};

/** A notification in words; of a type this page does not know, what its own name says. */
export function headline({ type }: WireNotification): string {
  return (
    headlines[type] ??
    type
      .split('.')
      .join(' ')
      .replace(/^./, (first) => first.toUpperCase())
  );
}

/** What it is about, or why it failed. */
export function detail({ data, error }: WireNotification): string {
  return error?.message ?? textOf(asObject(data), 'title', 'name', 'response', 'content', 'reason', 'message') ?? '';
}
