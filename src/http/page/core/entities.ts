import { asArray, asObject, numberOf, textOf, type JsonObject } from './json.js';

/** What the page shows, read from a list route or from a notification: both carry the whole thing. */
export interface Note {
  readonly id: string;
  readonly title: string;
  readonly excerpt: string;
  readonly tags: readonly string[];
  readonly fileUrl: string | undefined;
  /** Of its file, with the dot. */
  readonly extension: string;
  readonly contentLength: number | undefined;
  readonly createdAt: string;
}

export interface Task {
  readonly id: string;
  readonly title: string;
  readonly description: string | undefined;
  readonly dueDate: string | undefined;
  readonly projectId: string | undefined;
  readonly completedAt: string | undefined;
  readonly createdAt: string;
}

export interface Project {
  readonly id: string;
  readonly name: string;
  readonly description: string | undefined;
  readonly createdAt: string;
}

export interface Thread {
  readonly id: string;
  readonly title: string;
  readonly createdAt: string;
}

export interface Message {
  readonly id: string;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly createdAt: string;
  /** Only while it is on its way: not stored yet, being written, or not to be had. */
  readonly state?: 'sending' | 'streaming' | 'failed';
  readonly requestId?: string;
}

const excerptLength = 240;

const idOf = (source: JsonObject): string => textOf(source, 'id', 'entityId', 'aggregateId') ?? '';
const createdAtOf = (source: JsonObject): string =>
  textOf(source, 'createdAt', 'timestamp') ?? new Date().toISOString();

export function noteFrom(value: unknown): Note {
  const source = asObject(value);
  const content = textOf(source, 'content');
  return {
    id: idOf(source),
    title: textOf(source, 'title') ?? 'Untitled',
    excerpt: textOf(source, 'excerpt') ?? content?.slice(0, excerptLength) ?? '',
    tags: asArray(source['tags']).filter((tag) => typeof tag === 'string'),
    fileUrl: textOf(source, 'fileUrl'),
    extension: /\.[A-Za-z0-9]+$/.exec(textOf(source, 'filePath') ?? '')?.[0] ?? '',
    contentLength: numberOf(source, 'contentLength') ?? content?.length,
    createdAt: createdAtOf(source),
  };
}

export function taskFrom(value: unknown): Task {
  const source = asObject(value);
  return {
    id: textOf(source, 'id', 'entityId', 'taskId') ?? '',
    title: textOf(source, 'title') ?? 'Untitled',
    description: textOf(source, 'description'),
    dueDate: textOf(source, 'dueDate'),
    projectId: textOf(source, 'projectId'),
    completedAt: textOf(source, 'completedAt'),
    createdAt: createdAtOf(source),
  };
}

export function projectFrom(value: unknown): Project {
  const source = asObject(value);
  return {
    id: idOf(source),
    name: textOf(source, 'name', 'title') ?? 'Untitled',
    description: textOf(source, 'description'),
    createdAt: createdAtOf(source),
  };
}

export function threadFrom(value: unknown): Thread {
  const source = asObject(value);
  return {
    id: textOf(source, 'id', 'threadId') ?? '',
    title: textOf(source, 'title') ?? 'Conversation',
    createdAt: createdAtOf(source),
  };
}

export function messageFrom(value: unknown): Message {
  const source = asObject(value);
  return {
    id: textOf(source, 'id') ?? '',
    role: source['role'] === 'assistant' ? 'assistant' : 'user',
    content: textOf(source, 'content') ?? '',
    createdAt: createdAtOf(source),
  };
}

/** `{items, nextCursor}` of a list route. */
export function pageFrom<Item>(
  value: unknown,
  read: (item: unknown) => Item,
): { items: Item[]; nextCursor: string | undefined } {
  const source = asObject(value);
  return { items: asArray(source['items']).map(read), nextCursor: textOf(source, 'nextCursor') };
}
