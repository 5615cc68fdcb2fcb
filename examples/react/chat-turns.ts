import type { Notifications } from 'synap/react';

/** A question and what became of it. */
export interface Turn {
  readonly requestId: string;
  /** Known once Synap has kept the question. */
  readonly threadId?: string;
  readonly question: string;
  readonly answer?: string;
  readonly failure?: string;
}

type Notification = Notifications['items'][number];

/** The stored story, oldest first, and after it what was asked here a moment ago. */
export function turnsOf(items: readonly Notification[], asked: Turn | undefined): readonly Turn[] {
  const turns = new Map<string, Turn>();
  for (const { type, data, error, requestId } of items.toReversed()) {
    if (requestId === undefined || !type.startsWith('conversation.')) continue;
    const known = turns.get(requestId);
    const { threadId, content, response } = (data ?? {}) as Readonly<Record<string, string>>;
    if (type === 'conversation.message.received' && threadId !== undefined)
      turns.set(requestId, { ...known, requestId, threadId, question: content ?? '' });
    // An end without its question belongs to a page that is not loaded.
    else if (known === undefined) continue;
    else if (response !== undefined) turns.set(requestId, { ...known, answer: response });
    else turns.set(requestId, { ...known, failure: error?.message ?? 'This was cancelled.' });
  }
  return asked === undefined || turns.has(asked.requestId) ? [...turns.values()] : [...turns.values(), asked];
}

/** The conversation that `last` is in. */
export function threadOf(turns: readonly Turn[], last: Turn | undefined): readonly Turn[] {
  if (last?.threadId === undefined) return last === undefined ? [] : [last];
  return turns.filter(({ threadId }) => threadId === last.threadId);
}
