import { showAge } from '../../durations.js';
import { shorten } from '../../show.js';
import type { Style } from '../../terminal.js';
import type { Detail, Group, Letter } from './answers.js';

/** What fits beside an indent of two on a terminal of 100 columns. */
const widest = 96;
const typeWidth = 30;
const ageWidth = 10;

const errorText = ({ code = 'unknown', message = '' }: Letter['error']): string =>
  shorten(`${code}  ${message.replaceAll(/\s+/g, ' ')}`.trim(), widest);

/** Two lines: which, and what of. */
export function letterLines(letter: Letter, style: Style): string {
  const { jobId, type, userId, state, diedAt, error } = letter;
  const columns = [
    style.strong(jobId),
    type.padEnd(typeWidth),
    style.faint(showAge(diedAt).padEnd(ageWidth)),
    state === 'open' ? userId : `${userId}  ${style.wait(state)}`,
  ];
  return `${columns.join('  ').trimEnd()}\n  ${style.bad(errorText(error))}`;
}

export function groupLines({ count, type, fingerprint, firstAt, lastAt, code, message }: Group, style: Style): string {
  const span = count === 1 ? showAge(lastAt) : `${showAge(firstAt)} to ${showAge(lastAt)}`;
  const columns = [style.strong(String(count).padStart(7)), type.padEnd(typeWidth), fingerprint, style.faint(span)];
  return `${columns.join('  ')}\n  ${style.bad(errorText({ code: code ?? undefined, message: message ?? undefined }))}`;
}

const eventGone = 'Retention has deleted the event: RETENTION_EVENTS in docs/operating.md.';

/** Everything about one, top to bottom as somebody asks: what it is, what it died of, what was tried, what there is to work with. */
export function detailText(letter: Detail, style: Style): string {
  const { jobId, type, state, job, payload, correction, error } = letter;
  const isOpen = state === 'open';
  const title = `${style.strong(jobId)}  ${type}  ${isOpen ? style.bad('dead') : `${style.wait(state)}, job ${job?.state ?? 'deleted'}`}`;
  const sections = [
    [title, ...facts(letter, style)].join('\n'),
    section(
      'Error',
      [style.bad(`${error.code ?? 'unknown'}  ${error.message ?? ''}`), ...stackLines(error, style)],
      style,
    ),
    section('Attempts', attemptLines(letter, style), style),
    section(
      'Steps on record',
      letter.steps.map(({ name, attempt, at }) => `${at}  ${name}  ${style.faint(`attempt ${attempt}`)}`),
      style,
    ),
    section(
      'History',
      letter.history.map((entry) => historyLine(entry)),
      style,
    ),
    section('Payload', payload === null ? [style.faint(eventGone)] : jsonLines(payload), style),
    correction === null ? '' : section('Correction: the next attempt gets this', jsonLines(correction), style),
  ];
  return sections.filter((text) => text !== '').join('\n\n');
}

function facts(
  { userId, requestId, correlationId, aggregateId, fingerprint, acceptedAt, diedAt, replays, attempts }: Detail,
  style: Style,
): string[] {
  const rows = [
    ['user', userId],
    ['request', requestId],
    ['correlation', correlationId === requestId ? null : correlationId],
    ['aggregate', aggregateId],
    ['fingerprint', fingerprint],
    ['accepted', acceptedAt],
    ['died', `${diedAt}, ${showAge(diedAt)}`],
    ['attempts', `${attempts}, replayed ${replays} ${replays === 1 ? 'time' : 'times'}`],
  ] as const;
  // Of an event that is gone there is nothing to say.
  return rows.flatMap(([name, value]) => (value === null ? [] : [`  ${style.faint(name.padEnd(11))}  ${value}`]));
}

function section(title: string, lines: readonly string[], style: Style): string {
  return lines.length === 0 ? '' : `${style.strong(title)}\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

function stackLines({ stack = '' }: Detail['error'], style: Style): string[] {
  return stack
    .split('\n')
    .filter((line) => /^\s+at |^Caused by /.test(line))
    .slice(0, 12)
    .map((line) => style.faint(line.trim()));
}

function attemptLines({ failedAttempts }: Detail, style: Style): string[] {
  return failedAttempts.map(({ attempt, failedAt, workerId, error }) => {
    const where = workerId === null ? '' : style.faint(`  worker ${workerId}`);
    return `${String(attempt).padStart(3)}  ${failedAt}${where}\n       ${style.bad(errorText(error))}`;
  });
}

function historyLine({ at, action, actor, ...rest }: Detail['history'][number]): string {
  const details = Object.entries(rest).map(([name, value]) => `${name}: ${String(value)}`);
  return [new Date(at).toISOString(), action, `by ${actor}`, details.join(', ')]
    .filter((part) => part !== '')
    .join('  ');
}

const jsonLines = (value: unknown): string[] => JSON.stringify(value, null, 2).split('\n');
