import type { Api } from './api.js';
import { ApiError } from './api.js';
import {
  messageFrom,
  noteFrom,
  pageFrom,
  projectFrom,
  taskFrom,
  threadFrom,
  type Message,
  type Task,
} from './core/entities.js';
import { accepted, newRequest, refused, type Request } from './core/requests.js';
import { addPage, upsert, type Collection, type State } from './core/state.js';
import type { Store } from './core/store.js';
import type { Realtime } from './realtime.js';

type ListName = 'notes' | 'tasks' | 'projects' | 'threads';

interface List {
  readonly path: string;
  /** The state with a page of this list; what changed since `before` is newer than the page. */
  add(state: State, body: unknown, before: State): Partial<State>;
}

const lists: Readonly<Record<ListName, List>> = {
  notes: {
    path: '/v1/notes',
    add: (state, body, before) => ({ notes: addPage(state.notes, pageFrom(body, noteFrom), before.notes) }),
  },
  tasks: {
    path: '/v1/tasks',
    add: (state, body, before) => ({ tasks: addPage(state.tasks, pageFrom(body, taskFrom), before.tasks) }),
  },
  projects: {
    path: '/v1/projects',
    add: (state, body, before) => ({ projects: addPage(state.projects, pageFrom(body, projectFrom), before.projects) }),
  },
  threads: {
    path: '/v1/conversations',
    add: (state, body, before) => ({ threads: addPage(state.threads, pageFrom(body, threadFrom), before.threads) }),
  },
};

const noMessages: Collection<Message> = { status: 'loading', items: [] };
const maxRequests = 30;

/** Everything a user can do here. */
export class Actions {
  readonly #api: Api;
  readonly #realtime: Realtime;
  readonly #store: Store<State>;

  constructor(api: Api, realtime: Realtime, store: Store<State>) {
    this.#api = api;
    this.#realtime = realtime;
    this.#store = store;
  }

  createNote(note: { title: string; content?: string; fileId?: string; tags: readonly string[] }): Promise<void> {
    return this.#request('note.creation.requested', note.title, note);
  }

  createTask(task: { title: string; projectId?: string; dueDate?: string }): Promise<void> {
    return this.#request('task.creation.requested', task.title, task);
  }

  createProject(project: { name: string; description?: string }): Promise<void> {
    return this.#request('project.creation.requested', project.name, project);
  }

  /** The row says at once that it is under way; a notification says how it ended. */
  async completeTask({ id, title }: Task): Promise<void> {
    const mark = (how: State['completing'][string]) =>
      this.#store.update((state) => ({ ...state, completing: { ...state.completing, [id]: how } }));
    mark('pending');
    try {
      await this.#request('task.completion.requested', title, { taskId: id });
    } catch (thrown) {
      mark({ failed: reasonOf(thrown) });
    }
  }

  /** The message is shown before anything is sent, with a place for the answer; both get their real ids with it. */
  async sendMessage(content: string): Promise<void> {
    const requestId = crypto.randomUUID();
    const known = this.#store.state.threadId;
    const threadId = known ?? crypto.randomUUID();
    this.#showMessage(threadId, requestId, content);
    const event = known === undefined ? { aggregateId: threadId } : {};
    const data = known === undefined ? { content } : { threadId, content };
    try {
      await this.#request('conversation.message.sent', content, data, { requestId, ...event });
    } catch (thrown) {
      this.#changeMessage(threadId, `answer:${requestId}`, { state: 'failed', content: reasonOf(thrown) });
    }
  }

  uploadFile(file: File, onProgress: (fraction: number) => void): Promise<string> {
    return this.#api.upload(file, onProgress);
  }

  async openFile(url: string, name: string): Promise<void> {
    const address = URL.createObjectURL(await this.#api.download(url));
    const link = Object.assign(document.createElement('a'), { href: address, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  openThread(threadId: string | undefined): void {
    this.#store.update((state) => ({ ...state, threadId }));
    if (threadId !== undefined && this.#store.state.messages[threadId] === undefined) void this.loadMessages(threadId);
  }

  async loadAll(): Promise<void> {
    const names = ['notes', 'tasks', 'projects', 'threads'] as const;
    const threads = Object.keys(this.#store.state.messages);
    await Promise.all([...names.map((name) => this.load(name)), ...threads.map((id) => this.loadMessages(id))]);
  }

  /** The newest page, or with a cursor the next older one. */
  async load(name: ListName, cursor?: string): Promise<void> {
    try {
      const before = this.#store.state;
      const query = cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`;
      const body = await this.#api.get(`${lists[name].path}${query}`);
      this.#store.update((state) => ({ ...state, ...lists[name].add(state, body, before) }));
    } catch {
      this.#store.update((state) => ({ ...state, [name]: { ...state[name], status: 'failed' } }));
    }
  }

  async loadMessages(threadId: string): Promise<void> {
    const setTo = (change: (messages: Collection<Message>) => Collection<Message>) =>
      this.#store.update((state) => ({
        ...state,
        messages: { ...state.messages, [threadId]: change(state.messages[threadId] ?? noMessages) },
      }));
    setTo((messages) => messages);
    const before = this.#store.state.messages[threadId] ?? noMessages;
    try {
      const body = await this.#api.get(`/v1/conversations/${encodeURIComponent(threadId)}/messages?limit=100`);
      setTo((messages) => addPage(messages, pageFrom(body, messageFrom), before));
    } catch {
      setTo((messages) => ({ ...messages, status: 'failed' }));
    }
  }

  /** Listens first and posts then, so that not even the fastest answer is missed. */
  async #request(
    type: string,
    label: string,
    data: Readonly<Record<string, unknown>>,
    given: { readonly requestId?: string; readonly aggregateId?: string } = {},
  ): Promise<void> {
    const requestId = given.requestId ?? crypto.randomUUID();
    const added = newRequest({ id: requestId, type, label }, performance.now());
    this.#store.update((state) => ({ ...state, requests: [added, ...state.requests].slice(0, maxRequests) }));
    await this.#realtime.listenToRequest(requestId);
    try {
      await this.#api.send({ type, ...given, requestId, data });
      this.#change(requestId, (request) => accepted(request, performance.now()));
    } catch (thrown) {
      this.#realtime.leaveRequest(requestId);
      this.#change(requestId, (request) => refused(request, reasonOf(thrown), performance.now()));
      throw thrown;
    }
  }

  #change(requestId: string, change: (request: Request) => Request): void {
    this.#store.update((state) => ({
      ...state,
      requests: state.requests.map((request) => (request.id === requestId ? change(request) : request)),
    }));
  }

  #showMessage(threadId: string, requestId: string, content: string): void {
    this.#store.update((state) => {
      const messages: Collection<Message> = state.messages[threadId] ?? { status: 'ready', items: [] };
      const createdAt = after(messages.items[0]?.createdAt);
      const own: Message = {
        id: `message:${requestId}`,
        role: 'user',
        content,
        createdAt,
        state: 'sending',
        requestId,
      };
      const answer: Message = {
        ...own,
        id: `answer:${requestId}`,
        role: 'assistant',
        content: '',
        createdAt: after(createdAt),
        state: 'streaming',
      };
      const thread = { id: threadId, title: content.slice(0, 60), createdAt };
      const isNew = !state.threads.items.some(({ id }) => id === threadId);
      return {
        ...state,
        threadId,
        threads: isNew ? upsert(state.threads, thread) : state.threads,
        messages: { ...state.messages, [threadId]: upsert(upsert(messages, own), answer) },
      };
    });
  }

  #changeMessage(threadId: string, id: string, change: Partial<Message>): void {
    this.#store.update((state) => {
      const messages = state.messages[threadId];
      if (messages === undefined) return state;
      const items = messages.items.map((message) => (message.id === id ? { ...message, ...change } : message));
      return { ...state, messages: { ...state.messages, [threadId]: { ...messages, items } } };
    });
  }
}

/** Now, but later than `iso`: a message comes after the ones it answers, whatever this machine's clock says. */
function after(iso: string | undefined): string {
  return new Date(Math.max(Date.now(), iso === undefined ? 0 : Date.parse(iso) + 1)).toISOString();
}

export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof ApiError)) return 'Something went wrong on this page.';
  const [fault] = thrown.faults;
  if (fault === undefined) return thrown.message;
  return `${fault.path.replace(/^data\./, '')} ${fault.message}`.trim().replace(/^./, (first) => first.toUpperCase());
}
