import { createTabs, type Tabs } from './tabs.js';
import type { SynapClientOptions } from './types.js';

export type ClientStorage = NonNullable<SynapClientOptions['storage']>;
/** The network came or went, or the page is seen again. */
export type Wake = 'online' | 'offline' | 'visible';

/** What the client uses of the place that it runs in; a test gives its own clock and dice. */
export interface Environment {
  /** Milliseconds since 1970. */
  now(): number;
  /** @returns what cancels it */
  after(delayMs: number, run: () => void): () => void;
  /** From 0 to 1. */
  random(): number;
  readonly fetch: typeof fetch;
  readonly storage: ClientStorage;
  readonly isBrowser: boolean;
  /** Undefined where tabs cannot share a connection. */
  tabs(): Tabs | undefined;
  isOnline(): boolean;
  /** @returns what ends it */
  onWake(listener: (wake: Wake) => void): () => void;
}

/** Of a browser; Node has none of them, or less. */
interface Page {
  readonly document?: EventTarget & { readonly visibilityState: string };
  readonly navigator?: { readonly onLine?: boolean };
  readonly localStorage?: ClientStorage;
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
}

export function createEnvironment(storage?: ClientStorage): Environment {
  const page = globalThis as Page;
  const isBrowser = page.document !== undefined;
  return {
    now: () => Date.now(),
    after(delayMs, run) {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    fetch: (...args) => globalThis.fetch(...args),
    storage: storage ?? (isBrowser ? storageOf(page) : memoryStorage()),
    isBrowser,
    tabs: createTabs,
    isOnline: () => page.navigator?.onLine !== false,
    onWake: (listener) => listenToPage(page, listener),
  };
}

function listenToPage(page: Page, listener: (wake: Wake) => void): () => void {
  const { document } = page;
  if (document === undefined) return () => {};
  const online = () => listener('online');
  const offline = () => listener('offline');
  const seen = () => document.visibilityState === 'visible' && listener('visible');
  page.addEventListener?.('online', online);
  page.addEventListener?.('offline', offline);
  document.addEventListener('visibilitychange', seen);
  return () => {
    page.removeEventListener?.('online', online);
    page.removeEventListener?.('offline', offline);
    document.removeEventListener('visibilitychange', seen);
  };
}

/** Reading the property alone throws where the user has forbidden storage. */
function storageOf(page: Page): ClientStorage {
  try {
    return page.localStorage ?? memoryStorage();
  } catch {
    return memoryStorage();
  }
}

function memoryStorage(): ClientStorage {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}
