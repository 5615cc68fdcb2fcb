import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import type { NotificationPage, RoomListeners, StoredNotification, Subscription, SynapClient } from '../types.js';
import { NotificationList, noNotifications, type NotificationListState } from './notification-list.js';

const limit = 3;
const room = 'user_ada';

/**
 * A server with one room, and a client of it that promises as little as the types do: a room is heard from its subscription on.
 * Each step of either is taken when the test says so.
 */
class Model {
  epoch = randomUUID() as string;
  log: StoredNotification[] = [];
  /** Answers that are on their way: what was read when it was asked for. */
  readonly #asked: {
    readonly page: NotificationPage;
    resolve(page: NotificationPage): void;
    reject(error: Error): void;
  }[] = [];
  readonly #onState = new Set<() => void>();
  #listeners: RoomListeners | undefined;
  #heard = 0;
  loads = 0;

  readonly client = {
    state: {
      get: () => 'connected' as const,
      subscribe: (listener: () => void) => {
        this.#onState.add(listener);
        return () => void this.#onState.delete(listener);
      },
    },
    subscribe: (_room: string, listeners: RoomListeners = {}): Subscription => {
      this.#listeners = listeners;
      this.#heard = this.log.length;
      const ready = Promise.resolve({ epoch: this.#epoch, seq: this.log.length });
      return { room, ready, unsubscribe: () => (this.#listeners = undefined) };
    },
    notifications: {
      list: ({ before }: { before?: number } = {}) =>
        new Promise<NotificationPage>((resolve, reject) => {
          this.loads += 1;
          const older = this.log.filter(({ seq }) => before === undefined || seq < before).toReversed();
          const items = older.slice(0, limit);
          const head = { room, epoch: this.#epoch, seq: this.log.length };
          const next = older.length > limit ? (items.at(-1)?.seq ?? null) : null;
          this.#asked.push({ page: { items, head, unread: this.log.length, next }, resolve, reject });
        }),
      markSeen: () => Promise.resolve({ seen: 0, unread: 0 }),
    },
  } as unknown as SynapClient;

  get #epoch(): string | null {
    return this.log.length === 0 ? null : this.epoch;
  }

  get isQuiet(): boolean {
    return this.#asked.length === 0 && (this.#listeners === undefined || this.#heard === this.log.length);
  }

  get isHeard(): boolean {
    return this.#listeners !== undefined;
  }

  publish(): void {
    const [id, seq] = [randomUUID() as string, this.log.length + 1];
    const own = { id, seq, epoch: this.epoch, room, type: 'test.told', status: 'success', data: null } as const;
    this.log.push({ ...own, timestamp: '2026-01-01T00:00:00.000Z', deliveredAt: null, seenAt: null });
  }

  deliver(): void {
    const next = this.log[this.#heard];
    if (this.#listeners === undefined || next === undefined) return;
    this.#heard += 1;
    this.#listeners.onNotification?.(next);
  }

  lose(): void {
    if (this.#listeners !== undefined && this.#heard < this.log.length) this.#heard += 1;
  }

  answer(): void {
    const asked = this.#asked.shift();
    asked?.resolve(asked.page);
  }

  /** The last that was asked, before all others. */
  answerNewest(): void {
    const asked = this.#asked.pop();
    asked?.resolve(asked.page);
  }

  fail(): void {
    this.#asked.shift()?.reject(new Error('cut off'));
  }

  reconnect(): void {
    for (const listener of this.#onState) listener();
  }

  reset(): void {
    this.#listeners?.onReset?.('too_old');
  }

  /** As retention leaves a room, and the next notification begins it. */
  beginAnew(): void {
    this.epoch = randomUUID();
    this.log = [];
    this.publish();
    this.#heard = this.log.length;
    this.#listeners?.onReset?.('epoch_changed');
  }
}

const steps = ['publish', 'deliver', 'answer', 'lose', 'fail', 'reconnect', 'beginAnew'] as const;
const settled = (): Promise<void> => new Promise(setImmediate);

async function untilQuiet(model: Model): Promise<void> {
  for (;;) {
    await settled();
    if (model.isQuiet) return;
    model.answer();
    model.deliver();
  }
}

function open(): { model: Model; list: NotificationList; shown(): NotificationListState } {
  const model = new Model();
  let state = noNotifications;
  const list = new NotificationList(model.client, limit, (now) => (state = now));
  return { model, list, shown: () => state };
}

/** Takes the steps, lets all come that is under way, and compares the list with the room. */
async function holds(
  taken: readonly (typeof steps)[number][],
  afterwards = (_model: Model): void => {},
): Promise<void> {
  const { model, list, shown } = open();
  for (const step of taken) {
    model[step]();
    await settled();
  }
  model.reconnect();
  await untilQuiet(model);
  afterwards(model);
  await untilQuiet(model);
  list.end();
  const ids = shown().items.map(({ id }) => id);
  const newest = model.log.toReversed().map(({ id }) => id);
  expect(ids).toEqual(newest.slice(0, ids.length));
  expect(ids.length).toBeGreaterThanOrEqual(Math.min(limit, newest.length));
  expect(shown()).toMatchObject({ unread: newest.length, isLoading: false, error: undefined });
  expect(model.isHeard).toBe(false);
}

const sequences = (from: readonly (typeof steps)[number][]) => fc.array(fc.constantFrom(...from), { maxLength: 40 });

test('however loading, live notifications and new epochs meet: the list is the newest of the room, in order, once', async () => {
  const lossless = steps.filter((step) => step !== 'lose');
  await fc.assert(
    fc.asyncProperty(sequences(lossless), (taken) => holds(taken)),
    { seed: 4, numRuns: 500 },
  );
});

test('what was lost on the way is there with the next one', async () => {
  await fc.assert(
    fc.asyncProperty(sequences(steps), (taken) => holds(taken, (model) => model.publish())),
    { seed: 5, numRuns: 500 },
  );
});

test('what comes live and is on the page already is passed over, and loads nothing', async () => {
  const { model, list, shown } = open();
  await untilQuiet(model);
  model.publish();
  model.publish();
  // A reset reads what is on its way here as well.
  model.reset();
  await untilQuiet(model);
  expect([shown().items.length, shown().unread, model.loads]).toEqual([2, 2, 2]);
  list.end();
});

test('an older page that comes after the list has begun anew is left out', async () => {
  const { model, list, shown } = open();
  for (let n = 0; n < 5; n += 1) model.publish();
  await untilQuiet(model);
  void list.loadMore();
  model.beginAnew();
  model.answerNewest();
  await untilQuiet(model);
  expect(shown().items.map(({ epoch }) => epoch)).toEqual([model.epoch]);
  list.end();
});

test('a page that is open for long keeps the newest 1,000, and the rest is there to be loaded', async () => {
  const { model, list, shown } = open();
  await untilQuiet(model);
  for (let n = 0; n < 1_005; n += 1) model.publish();
  await untilQuiet(model);
  expect([shown().items.length, shown().hasMore]).toEqual([1_000, true]);
  void list.loadMore();
  await untilQuiet(model);
  expect(shown().items.map(({ seq }) => seq)).toEqual(Array.from({ length: 1_003 }, (_, index) => 1_005 - index));
  list.end();
});
