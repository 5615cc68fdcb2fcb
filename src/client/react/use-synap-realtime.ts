import { useMemo, useSyncExternalStore } from 'react';
import type { WireNotification } from '../../realtime/contract.js';
import type { ConnectionState, OutgoingEvent, Sent, SynapClientOptions, TokenProvider } from '../types.js';
import { useSource } from './provider.js';
import { realtimeFeed, type FeedListener } from './realtime-feed.js';
import { useLatest } from './use-latest.js';
import { useSendTo } from './use-send.js';

export interface SynapRealtimeOptions extends FeedListener {
  /** The token's user. */
  readonly userId: string;
  /** One operation to follow as well, from its beginning. */
  readonly requestId?: string | undefined;
  /** Where given, the hook has a connection of its own; without it, the provider's. */
  readonly token?: string | TokenProvider | undefined;
  /** With `token`; in a browser the page's own origin where left out. */
  readonly url?: string | undefined;
  /** With `token`: before the slow retries begin. 10 */
  readonly maxReconnectAttempts?: number | undefined;
  /** With `token`: milliseconds before the first attempt, doubled at each. 1,000 */
  readonly reconnectDelay?: number | undefined;
}

export interface SynapRealtime {
  readonly lastMessage: WireNotification | null;
  readonly isConnected: boolean;
  readonly connectionState: ConnectionState;
  readonly error: Error | null;
  readonly sendMessage: (event: OutgoingEvent) => Sent;
  /** Since the component is there, oldest first; the newest 200. For the stored ones see `useNotifications`. */
  readonly notifications: readonly WireNotification[];
}

/**
 * Hears a user's room, and a request's: each notification once, in order, also over interruptions. `messageFilter` and the `on…`
 * functions may be others at each render.
 */
export function useSynapRealtime(options: SynapRealtimeOptions): SynapRealtime {
  const { userId, requestId, url } = options;
  const source = useSource(ownOptions(options), JSON.stringify([url, userId]));
  const listener = useLatest<FeedListener>(options);
  const feed = useMemo(() => {
    const request = requestId === undefined ? [] : [{ name: `request_${requestId}`, start: 'beginning' as const }];
    const rooms = [{ name: `user_${userId}`, start: 'now' as const }, ...request];
    return realtimeFeed(source, rooms, () => listener.current);
  }, [source, userId, requestId, listener]);
  const state = useSyncExternalStore(feed.subscribe, feed.get, feed.get);
  const sendMessage = useSendTo(source);
  return {
    ...state,
    lastMessage: state.notifications.at(-1) ?? null,
    isConnected: state.connectionState === 'connected',
    sendMessage,
  };
}

function ownOptions(options: SynapRealtimeOptions): SynapClientOptions | undefined {
  const { userId, token, url, maxReconnectAttempts: attempts = 10, reconnectDelay: delayMs = 1_000 } = options;
  if (token === undefined) return undefined;
  return { userId, token, ...(url !== undefined && { url }), reconnect: { attempts, delayMs } };
}
