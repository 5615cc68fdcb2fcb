import type { RoomHead, WireNotification } from '../../realtime/contract.js';
import type { NotificationPage, StoredNotification, Subscription, SynapClient } from '../types.js';

export interface NotificationListState {
  /** Newest first. */
  readonly items: readonly StoredNotification[];
  /** Not seen, among the newest 1,000. */
  readonly unread: number;
  /** Until the first page is there. */
  readonly isLoading: boolean;
  readonly hasMore: boolean;
  /** Why the newest page is not to be had at the moment; it is tried again by itself. */
  readonly error: Error | undefined;
}

export const noNotifications: NotificationListState = {
  items: [],
  unread: 0,
  isLoading: true,
  hasMore: false,
  error: undefined,
};

const longestRetryMs = 30_000;
/** A page that is open for weeks: older ones are there with `loadMore`. */
const keptItems = 1_000;

/**
 * The stored notifications of the user's own room and, from the end of that page on, what comes live. The page says up to which
 * number it goes, so nothing lies between the two; a gap or a reset loads the page anew.
 */
export class NotificationList {
  readonly #client: SynapClient;
  readonly #limit: number;
  readonly #onChange: (state: NotificationListState) => void;
  readonly #stopFollowing: () => void;
  #state = noNotifications;
  #head: RoomHead = { epoch: null, seq: 0 };
  #next: number | null = null;
  /** What comes live while the page is being loaded. */
  #waiting: WireNotification[] | undefined;
  #isStale = false;
  #isLoadingMore = false;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #subscription: Subscription | undefined;
  #hasEnded = false;

  constructor(client: SynapClient, limit: number, onChange: (state: NotificationListState) => void) {
    this.#client = client;
    this.#limit = limit;
    this.#onChange = onChange;
    this.#stopFollowing = client.state.subscribe(() => {
      if (this.#failures > 0 && client.state.get() === 'connected') void this.#load();
    });
    void this.#load();
  }

  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#retry);
    this.#stopFollowing();
    this.#subscription?.unsubscribe();
  }

  /** The next older page; nothing where there is none. */
  async loadMore(): Promise<void> {
    const before = this.#next;
    if (before === null || this.#isLoadingMore) return;
    this.#isLoadingMore = true;
    try {
      const page = await this.#client.notifications.list({ before, limit: this.#limit });
      // Meanwhile the list may have begun anew.
      if (this.#next === before) this.#append(page);
    } finally {
      this.#isLoadingMore = false;
    }
  }

  /** All of them, or those with these ids. */
  async markSeen(ids?: readonly string[]): Promise<void> {
    const upTo = this.#head.seq;
    const { unread } = await this.#client.notifications.markSeen(ids === undefined ? { upTo } : { ids });
    const seenAt = new Date().toISOString();
    const isSeen = ({ id, seq }: StoredNotification) => (ids === undefined ? seq <= upTo : ids.includes(id));
    const items = this.#state.items.map((item) =>
      isSeen(item) && item.seenAt === null ? { ...item, seenAt, deliveredAt: item.deliveredAt ?? seenAt } : item,
    );
    // What came while the server counted is not in its answer.
    const since = this.#head.seq - upTo;
    this.#show({ items, unread: unread + (ids === undefined ? since : 0) });
  }

  async #load(): Promise<void> {
    if (this.#waiting !== undefined) {
      this.#isStale = true;
      return;
    }
    this.#waiting = [];
    this.#isStale = false;
    clearTimeout(this.#retry);
    try {
      this.#begin(await this.#client.notifications.list({ limit: this.#limit }));
    } catch (thrown) {
      this.#fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  }

  #begin({ items, unread, next, head }: NotificationPage): void {
    if (this.#hasEnded) return;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    this.#failures = 0;
    this.#head = { epoch: head.epoch, seq: head.seq };
    this.#next = next;
    this.#show({ items, unread, isLoading: false, hasMore: next !== null, error: undefined });
    this.#subscribe(head.room);
    for (const notification of waiting) this.#take(notification);
    if (this.#isStale) void this.#load();
  }

  #fail(error: Error): void {
    if (this.#hasEnded) return;
    this.#waiting = undefined;
    this.#failures += 1;
    this.#show({ error, isLoading: false });
    this.#retry = setTimeout(() => void this.#load(), Math.min(longestRetryMs, 500 * 2 ** this.#failures));
  }

  #subscribe(room: string): void {
    if (this.#subscription !== undefined) return;
    const head = this.#head;
    this.#subscription = this.#client.subscribe(
      room,
      {
        onNotification: (notification) => this.#take(notification),
        onReset: (reason) => reason !== 'first' && void this.#load(),
      },
      head,
    );
    // Where others heard this room before, it may be ahead of the page already.
    this.#subscription.ready.then(
      (heard) => this.#isBehind(heard) && void this.#load(),
      (thrown: unknown) => this.#fail(thrown instanceof Error ? thrown : new Error(String(thrown))),
    );
  }

  #isBehind({ epoch, seq }: RoomHead): boolean {
    return epoch !== null && (epoch !== this.#head.epoch || seq > this.#head.seq);
  }

  #take(notification: WireNotification): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(notification);
      return;
    }
    const { epoch, seq } = this.#head;
    if (notification.epoch === epoch && notification.seq <= seq) return;
    const isNext = notification.seq === seq + 1 && (epoch === null || notification.epoch === epoch);
    if (!isNext) {
      void this.#load();
      return;
    }
    this.#head = { epoch: notification.epoch, seq: notification.seq };
    const item: StoredNotification = { ...notification, deliveredAt: null, seenAt: null };
    const items = [item, ...this.#state.items.slice(0, keptItems - 1)];
    if (items.length === this.#state.items.length) this.#next = items.at(-1)?.seq ?? null;
    this.#show({ items, unread: this.#state.unread + 1, hasMore: this.#next !== null });
  }

  #append({ items, next }: NotificationPage): void {
    this.#next = next;
    const known = new Set(this.#state.items.map(({ id }) => id));
    const older = items.filter(({ id }) => !known.has(id));
    this.#show({ items: [...this.#state.items, ...older], hasMore: next !== null });
  }

  #show(changes: Partial<NotificationListState>): void {
    if (this.#hasEnded) return;
    this.#state = { ...this.#state, ...changes };
    this.#onChange(this.#state);
  }
}
