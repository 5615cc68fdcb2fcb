import type { Pong, WireDelta, WireNotification, WireProgress } from '../realtime/contract.js';
import { randomId } from './random-id.js';
import type { Calls, Tells } from './session.js';
import type { ConnectionState } from './types.js';

/** From a tab to the one that holds the connection. */
export type TabRequest =
  | { readonly kind: 'hello' }
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'call'; readonly call: number; readonly name: keyof Calls; readonly message: unknown }
  | { readonly kind: 'tell'; readonly name: keyof Tells; readonly message: unknown };

/** From the one that holds it. `connection` counts its connections: another one means to subscribe again. */
export type LeaderMessage =
  | { readonly kind: 'state'; readonly state: ConnectionState; readonly connection: number }
  | { readonly kind: 'answer'; readonly to: string; readonly call: number; readonly answer: unknown }
  /** Without an answer: the connection was lost before it came. */
  | { readonly kind: 'lost'; readonly to: string; readonly call: number }
  | { readonly kind: 'notifications'; readonly payload: readonly WireNotification[] }
  | { readonly kind: 'progress'; readonly payload: WireProgress }
  | { readonly kind: 'delta'; readonly payload: WireDelta }
  | { readonly kind: 'pong'; readonly payload: Pong };

export type TabMessage = (TabRequest | LeaderMessage) & { readonly from: string };

export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Takes it from whoever has it. */
  readonly steal?: boolean;
}

/** What tabs of one origin have in common. */
export interface Tabs {
  /** This tab's, or rather this client's. */
  readonly id: string;
  /** Holds the lock from when it is granted until `hold` settles. Rejects where the signal aborts it or another tab steals it. */
  lock(name: string, options: LockOptions, hold: () => Promise<void>): Promise<void>;
  channel(name: string, onMessage: (message: TabMessage) => void): TabChannel;
}

export interface TabChannel {
  post(message: TabRequest | LeaderMessage): void;
  close(): void;
}

interface Platform {
  readonly navigator?: {
    readonly locks?: { request(name: string, options: LockOptions, hold: () => Promise<void>): Promise<void> };
  };
  readonly BroadcastChannel?: new (name: string) => {
    addEventListener(type: 'message', listener: (event: { readonly data: TabMessage }) => void): void;
    postMessage(message: TabMessage): void;
    close(): void;
  };
}

/** Undefined where the platform lacks Web Locks (a page that came over plain http) or BroadcastChannel. */
export function createTabs(): Tabs | undefined {
  const { navigator, BroadcastChannel } = globalThis as unknown as Platform;
  const locks = navigator?.locks;
  if (locks === undefined || BroadcastChannel === undefined) return undefined;
  const id = randomId();
  return {
    id,
    lock: (name, options, hold) => locks.request(name, options, hold),
    channel(name, onMessage) {
      const channel = new BroadcastChannel(name);
      let isOpen = true;
      const send = channel.postMessage.bind(channel);
      channel.addEventListener('message', ({ data }) => onMessage(data));
      return {
        post: (message) => isOpen && send({ ...message, from: id }),
        close() {
          isOpen = false;
          channel.close();
        },
      };
    },
  };
}
