import type { WireNotification } from '../../../realtime/contract.js';
import type { Message, Note, Project, Task, Thread } from './entities.js';
import type { Request } from './requests.js';

/** `offline`: the browser has no network, or ten tries in a row have failed. */
export type Connection = 'connecting' | 'connected' | 'reconnecting' | 'offline';

/** A list that is loaded once and then kept true by notifications. Newest first. */
export interface Collection<Item> {
  readonly status: 'loading' | 'ready' | 'failed';
  readonly items: readonly Item[];
  readonly nextCursor?: string;
}

export interface State {
  readonly userId: string;
  readonly connection: Connection;
  readonly notes: Collection<Note>;
  readonly tasks: Collection<Task>;
  readonly projects: Collection<Project>;
  readonly threads: Collection<Thread>;
  readonly messages: Readonly<Record<string, Collection<Message>>>;
  /** The thread that is shown; undefined while a new conversation has no first message. */
  readonly threadId?: string | undefined;
  /** What this page asked for, newest first. */
  readonly requests: readonly Request[];
  /** Newest first, each once, however many rooms brought it. */
  readonly notifications: readonly WireNotification[];
  /** Tasks that are being completed, and those that could not be, with the reason. */
  readonly completing: Readonly<Record<string, 'pending' | { readonly failed: string }>>;
}

const empty = { status: 'loading', items: [] } as const;

export function initialState(userId: string): State {
  return {
    userId,
    connection: 'connecting',
    notes: empty,
    tasks: empty,
    projects: empty,
    threads: empty,
    messages: {},
    requests: [],
    notifications: [],
    completing: {},
  };
}

interface Entity {
  readonly id: string;
  readonly createdAt: string;
}

/** Puts `item` in place of the one with its id, else where its time belongs. */
export function upsert<Item extends Entity>(collection: Collection<Item>, item: Item): Collection<Item> {
  const at = collection.items.findIndex(({ id }) => id === item.id);
  if (at >= 0) return { ...collection, items: collection.items.with(at, item) };
  const before = collection.items.findIndex((other) => isNewer(item, other));
  return { ...collection, items: collection.items.toSpliced(before < 0 ? collection.items.length : before, 0, item) };
}

/** A page that was read from the server. What notifications have changed since `before` is newer and stays. */
export function addPage<Item extends Entity>(
  collection: Collection<Item>,
  page: { readonly items: readonly Item[]; readonly nextCursor?: string | undefined },
  before: Collection<Item>,
): Collection<Item> {
  const find = ({ items }: Collection<Item>, { id }: Item) => items.find((item) => item.id === id);
  const fresh = page.items.filter((item) => find(collection, item) === find(before, item));
  const merged = fresh.reduce((all, item) => upsert(all, item), collection);
  return {
    status: 'ready',
    items: merged.items,
    ...(page.nextCursor !== undefined && { nextCursor: page.nextCursor }),
  };
}

/** By time, and where that is equal by id: ids of one millisecond are ordered too. */
function isNewer(a: Entity, b: Entity): boolean {
  return a.createdAt === b.createdAt ? a.id > b.id : a.createdAt > b.createdAt;
}

const maxNotifications = 200;

export function addNotification(
  shown: readonly WireNotification[],
  added: WireNotification,
): readonly WireNotification[] {
  if (shown.some(({ id }) => id === added.id)) return shown;
  const at = ({ id, timestamp }: WireNotification) => ({ id, createdAt: timestamp });
  const before = shown.findIndex((other) => isNewer(at(added), at(other)));
  return shown.toSpliced(before < 0 ? shown.length : before, 0, added).slice(0, maxNotifications);
}
