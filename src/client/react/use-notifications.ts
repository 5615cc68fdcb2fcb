import { useMemo, useSyncExternalStore } from 'react';
import type { ClientSource } from './client-source.js';
import { LiveStore } from './live-store.js';
import { NotificationList, noNotifications, type NotificationListState } from './notification-list.js';
import { useSource } from './provider.js';

export interface Notifications extends NotificationListState {
  /** All of them, or those with these ids. */
  readonly markSeen: (ids?: readonly string[]) => Promise<void>;
  /** The next older page. */
  readonly loadMore: () => Promise<void>;
}

/** The user's stored notifications, newest first, live from then on; `limit` is the size of a page (1 to 100). */
export function useNotifications({ limit = 20 }: { readonly limit?: number } = {}): Notifications {
  const source = useSource();
  const list = useMemo(() => notificationsOf(source, limit), [source, limit]);
  const state = useSyncExternalStore(list.state.subscribe, list.state.get, list.state.get);
  return { ...state, markSeen: list.markSeen, loadMore: list.loadMore };
}

function notificationsOf(source: ClientSource, limit: number) {
  let list: NotificationList | undefined;
  const state = new LiveStore<NotificationListState>(noNotifications, (set) => {
    const letGo = source.hold();
    list = new NotificationList(source.client(), limit, set);
    return () => {
      list?.end();
      list = undefined;
      letGo();
    };
  });
  return {
    state,
    markSeen: async (ids?: readonly string[]) => list?.markSeen(ids),
    loadMore: async () => list?.loadMore(),
  };
}
