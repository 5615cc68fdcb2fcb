import type { WireNotification, WireProgress } from '../../realtime/contract.js';
import { noteFrom, projectFrom, taskFrom, threadFrom, type Message } from './core/entities.js';
import { asObject, textOf, type JsonObject } from './core/json.js';
import { notified, progressed, type Request } from './core/requests.js';
import { addNotification, upsert, type Collection, type State } from './core/state.js';

type Change = (state: State, data: JsonObject, notification: WireNotification) => State;

/** What each notification does to the lists. Each carries all that is needed, so nothing is fetched. */
const changes: Readonly<Record<string, Change>> = {
  'note.creation.completed': (state, data) => ({ ...state, notes: upsert(state.notes, noteFrom(data)) }),
  'project.creation.completed': (state, data) => ({ ...state, projects: upsert(state.projects, projectFrom(data)) }),
  'task.creation.completed': (state, data) => ({ ...state, tasks: upsert(state.tasks, taskFrom(data)) }),
  'task.completion.processed': (state, data) => {
    const id = textOf(data, 'taskId', 'id', 'entityId') ?? '';
    const known = state.tasks.items.find((task) => task.id === id);
    const told = taskFrom({ ...known, ...data, id, createdAt: known?.createdAt ?? data['createdAt'] });
    const { [id]: _, ...completing } = state.completing;
    return { ...state, completing, tasks: upsert(state.tasks, told) };
  },
  'task.completion.failed': (state, data, { error }) =>
    failCompletion(state, textOf(data, 'aggregateId'), error?.message ?? 'It could not be completed.'),
  'conversation.message.received': addQuestion,
  'conversation.response.generated': addAnswer,
  'conversation.message.failed': (state, _data, { requestId, error }) =>
    changeMessages(state, requestId, (message) =>
      message.role === 'user'
        ? sent(message)
        : { ...message, state: 'failed', content: error?.message ?? 'There is no answer.' },
    ),
};

/** A notification that this page has not seen yet, whichever room brought it. */
export function heardNotification(state: State, notification: WireNotification, now: number): State {
  const notifications = addNotification(state.notifications, notification);
  if (notifications === state.notifications) return state;
  const listed = { ...state, notifications };
  const changed = changes[notification.type]?.(listed, asObject(notification.data), notification) ?? listed;
  return changeRequest(changed, notification.requestId, (request) => notified(request, notification, now));
}

export function heardProgress(state: State, progress: WireProgress): State {
  return changeRequest(state, progress.requestId, (request) => progressed(request, progress));
}

/** An answer that is being written, as far as it has come. */
export function heardText(
  state: State,
  { requestId, text }: { readonly requestId: string; readonly text: string },
): State {
  const processing = changeRequest(state, requestId, (request) => progressed(request, { percent: request.percent }));
  return changeMessages(processing, requestId, (message) =>
    message.state === 'streaming' ? { ...message, content: text } : message,
  );
}

function failCompletion(state: State, id: string | undefined, reason: string): State {
  return id === undefined ? state : { ...state, completing: { ...state.completing, [id]: { failed: reason } } };
}

/** Ours gets its real id in place of the optimistic one; one that another tab sent is put where it belongs. */
function addQuestion(state: State, data: JsonObject, { requestId, timestamp }: WireNotification): State {
  const threadId = textOf(data, 'threadId') ?? '';
  const id = textOf(data, 'userMessageId') ?? '';
  const createdAt = textOf(data, 'createdAt') ?? timestamp;
  if (isOurs(state, requestId)) {
    return changeMessages(state, requestId, (message) =>
      message.role === 'user' ? { ...sent(message), id } : message,
    );
  }
  const isKnown = state.threads.items.some((thread) => thread.id === threadId);
  const thread = threadFrom({ id: threadId, title: data['threadTitle'], createdAt });
  const question: Message = { id, role: 'user', content: textOf(data, 'content') ?? '', createdAt };
  return addMessage({ ...state, threads: isKnown ? state.threads : upsert(state.threads, thread) }, threadId, question);
}

function addAnswer(state: State, data: JsonObject, { requestId, timestamp }: WireNotification): State {
  const content = textOf(data, 'response') ?? '';
  const id = textOf(data, 'assistantMessageId') ?? '';
  if (isOurs(state, requestId)) {
    return changeMessages(state, requestId, (message) =>
      message.role === 'user' ? message : { ...sent(message), id, content },
    );
  }
  const answer: Message = { id, role: 'assistant', content, createdAt: textOf(data, 'createdAt') ?? timestamp };
  return addMessage(state, textOf(data, 'threadId') ?? '', answer);
}

/** A thread that was never opened here is loaded when it is. */
function addMessage(state: State, threadId: string, message: Message): State {
  const known = state.messages[threadId];
  if (known === undefined) return state;
  return { ...state, messages: { ...state.messages, [threadId]: upsert(known, message) } };
}

function sent(message: Message): Message {
  const { state: _, ...rest } = message;
  return rest;
}

function isOurs(state: State, requestId: string | undefined): boolean {
  return Object.values(state.messages).some(({ items }) => items.some((item) => item.requestId === requestId));
}

function changeMessages(state: State, requestId: string | undefined, change: (message: Message) => Message): State {
  const entries = Object.entries(state.messages).map(([threadId, messages]): [string, Collection<Message>] => {
    const isConcerned = requestId !== undefined && messages.items.some((item) => item.requestId === requestId);
    if (!isConcerned) return [threadId, messages];
    const items = messages.items.map((item) => (item.requestId === requestId ? change(item) : item));
    return [threadId, { ...messages, items }];
  });
  return { ...state, messages: Object.fromEntries(entries) };
}

function changeRequest(state: State, requestId: string | undefined, change: (request: Request) => Request): State {
  if (requestId === undefined) return state;
  return {
    ...state,
    requests: state.requests.map((request) => (request.id === requestId ? change(request) : request)),
  };
}
