import type { Clock } from '../../platform/clock.js';
import type { Sql } from '../../platform/database.js';
import type { Answer, Assistant, Question } from './assistant.js';
import { parseQuestion, type Search } from './keywords.js';
import { newestNotes, openTasks, searchNotes, searchTasks, type FoundNote, type FoundTask } from './search.js';

const introduction =
  'I am the offline assistant: I look for the words of your question in your notes and tasks. ' +
  'Once the operator has set ANTHROPIC_API_KEY, Claude answers here.';

/** Needs no service and no key: it searches what the user has and says in sentences what it found. */
export class OfflineAssistant implements Assistant {
  readonly name = 'offline';
  readonly #sql: Sql;
  readonly #clock: Clock;
  readonly #pauseMs: number;

  /** @param pauseMs between two pieces of an answer, so that a page shows it as it shows one that is being thought of. */
  constructor(sql: Sql, clock: Clock, pauseMs = 15) {
    this.#sql = sql;
    this.#clock = clock;
    this.#pauseMs = pauseMs;
  }

  async answer({ userId, turns, signal, onText }: Question): Promise<Answer> {
    const text = await this.#find(userId, parseQuestion(turns.at(-1)?.content ?? ''));
    for (const piece of text.match(/\S+\s*/g) ?? []) {
      signal.throwIfAborted();
      onText(piece);
      await this.#pause();
    }
    return { text, inputTokens: 0, outputTokens: 0 };
  }

  async #find(userId: string, search: Search): Promise<string> {
    if (search.keywords.length > 0) {
      const notes =
        search.wantsTasks && !search.wantsNotes ? [] : await searchNotes(this.#sql, userId, search.keywords);
      const tasks =
        search.wantsNotes && !search.wantsTasks ? [] : await searchTasks(this.#sql, userId, search.keywords);
      return tellFound(search, notes, tasks);
    }
    const notes = search.wantsNotes ? await newestNotes(this.#sql, userId) : [];
    const tasks = search.wantsTasks ? await openTasks(this.#sql, userId) : [];
    return tellNewest(search, notes, tasks);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(this.#pauseMs, resolve);
    });
  }
}

function tellFound({ keywords }: Search, notes: readonly FoundNote[], tasks: readonly FoundTask[]): string {
  const topic = keywords.map((word) => `"${word}"`).join(', ');
  if (notes.length + tasks.length === 0)
    return `I found nothing about ${topic} in your notes and tasks.\n\n${introduction}`;
  const counts = [count(notes.length, 'note'), count(tasks.length, 'task')]
    .filter((part) => part !== undefined)
    .join(' and ');
  return [`I found ${counts} about ${topic}:`, ...notes.map(tellNote), ...tasks.map(tellTask), '', introduction].join(
    '\n',
  );
}

function tellNewest(
  { wantsNotes, wantsTasks }: Search,
  notes: readonly FoundNote[],
  tasks: readonly FoundTask[],
): string {
  if (!wantsNotes && !wantsTasks)
    return `${introduction} Ask me for example "What do I know about the budget?" or "Show my open tasks".`;
  const lines = [
    ...(wantsNotes
      ? [notes.length === 0 ? 'You have no notes yet.' : 'These are your newest notes:', ...notes.map(tellNote)]
      : []),
    ...(wantsTasks
      ? [tasks.length === 0 ? 'You have no open tasks.' : 'These tasks are open:', ...tasks.map(tellTask)]
      : []),
  ];
  return [...lines, '', introduction].join('\n');
}

const count = (found: number, noun: string): string | undefined =>
  found === 0 ? undefined : `${found} ${noun}${found === 1 ? '' : 's'}`;

function tellNote({ title, excerpt }: FoundNote): string {
  const beginning = excerpt.length > 120 ? `${excerpt.slice(0, 119).toWellFormed()}…` : excerpt;
  return beginning === '' ? `- The note "${title}".` : `- The note "${title}": ${beginning}`;
}

function tellTask({ title, dueDate, completedAt }: FoundTask): string {
  if (completedAt !== null) return `- The task "${title}", completed on ${day(completedAt)}.`;
  return dueDate === null
    ? `- The task "${title}", still open.`
    : `- The task "${title}", still open and due on ${day(dueDate)}.`;
}

const day = (at: Date): string => at.toISOString().slice(0, 10);
