import type { WireNotification } from '../../realtime/contract.js';
import type { ConnectionState, SynapClient } from '../types.js';
import type { ClientSource } from './client-source.js';
import { LiveStore } from './live-store.js';

export interface FeedState {
  readonly connectionState: ConnectionState;
  /** Oldest first. */
  readonly notifications: readonly WireNotification[];
  readonly error: Error | null;
}

export interface FeedListener {
  readonly messageFilter?: ((notification: WireNotification) => boolean) | undefined;
  readonly onMessage?: ((notification: WireNotification) => void) | undefined;
  readonly onConnect?: (() => void) | undefined;
  readonly onDisconnect?: (() => void) | undefined;
  readonly onError?: ((error: Error) => void) | undefined;
}

const keptNotifications = 200;
const rememberedIds = 2_000;

/** What some rooms have said since somebody listens. One notification that goes to several of them comes once. */
export function realtimeFeed(
  source: ClientSource,
  rooms: readonly { readonly name: string; readonly start: 'now' | 'beginning' }[],
  listener: () => FeedListener,
): LiveStore<FeedState> {
  const nothing: FeedState = { connectionState: 'connecting', notifications: [], error: null };
  const feed: LiveStore<FeedState> = new LiveStore(nothing, (set) => {
    const letGo = source.hold();
    const client = source.client();
    const change = (changes: Partial<FeedState>) => set({ ...feed.get(), ...changes });
    const fail = (error: Error) => {
      change({ error });
      listener().onError?.(error);
    };
    const isNew = onceEach();
    const onNotification = (notification: WireNotification) => {
      const { messageFilter, onMessage } = listener();
      if (!isNew(notification.id) || messageFilter?.(notification) === false) return;
      change({ notifications: [...feed.get().notifications, notification].slice(-keptNotifications) });
      onMessage?.(notification);
    };
    const ends = [
      followConnection(client, { change, listener }),
      client.on('error', fail),
      // A refusal is an error of the client, too.
      ...rooms.map(({ name, start }) => client.subscribe(name, { onNotification }, start).unsubscribe),
      letGo,
    ];
    return () => ends.forEach((end) => end());
  });
  return feed;
}

function followConnection(
  client: SynapClient,
  { change, listener }: { change: (changes: Partial<FeedState>) => void; listener: () => FeedListener },
): () => void {
  let wasConnected = false;
  const follow = () => {
    const connectionState = client.state.get();
    const isConnected = connectionState === 'connected';
    change({ connectionState, ...(isConnected && { error: null }) });
    if (isConnected && !wasConnected) listener().onConnect?.();
    if (!isConnected && wasConnected) listener().onDisconnect?.();
    wasConnected = isConnected;
  };
  const stop = client.state.subscribe(follow);
  follow();
  return stop;
}

function onceEach(): (id: string) => boolean {
  const known = new Set<string>();
  return (id) => {
    if (known.has(id)) return false;
    known.add(id);
    const [oldest] = known;
    if (known.size > rememberedIds && oldest !== undefined) known.delete(oldest);
    return true;
  };
}
