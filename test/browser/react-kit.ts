import { build } from 'esbuild';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { eventually } from '../support/signals.js';
import type { Harness, Shown } from './react/shown.js';

/** The hooks in a page of a real Synap: mounted, unmounted and looked at by a test. */
export interface HookPage {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly faults: string[];
  /** Sockets to Synap that are open, and how many there ever were. */
  sockets(): { readonly open: number; readonly ever: number };
  /** What was sent to Synap over sockets. */
  readonly sent: string[];
  mount(shown: Shown): Promise<void>;
  unmount(): Promise<void>;
  send(type: string, data: unknown): Promise<string>;
  /** Waits until Synap has answered a subscription to the room: what is said from here on is heard. */
  joined(room: string): Promise<void>;
  /** Waits until what a component has makes the expression true; `it` is what it has. */
  until<Seen>(name: string, matches: (it: Seen) => boolean): Promise<Seen>;
  seen<Seen>(name: string): Promise<Seen>;
  calls(): Promise<Harness['calls']>;
  /** Listeners of window and document that were added and not removed. */
  listeners(): Promise<string[]>;
}

let bundled: Promise<string> | undefined;

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ['test/browser/react/harness.tsx'],
    bundle: true,
    write: false,
    format: 'iife',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"development"' },
  });
  return outputFiles[0]?.text ?? '';
}

/** React's own: one for each document that it ever had a root in. */
const reacts = 'selectionchange';

const countListeners = `
  const added = new Map();
  globalThis.listenersNow = () => [...added.values()].flatMap((types) => [...types.keys()].flatMap((type) => [...types.get(type)].map(() => type)));
  for (const target of [window, document]) {
    const { addEventListener: add, removeEventListener: remove } = target;
    const types = new Map();
    added.set(target, types);
    target.addEventListener = function (type, listener, options) {
      types.set(type, (types.get(type) ?? new Set()).add(listener));
      options?.signal?.addEventListener('abort', () => types.get(type).delete(listener));
      return add.call(this, type, listener, options);
    };
    target.removeEventListener = function (type, listener, options) {
      types.get(type)?.delete(listener);
      return remove.call(this, type, listener, options);
    };
  }
`;

export async function openHooks(browser: Browser, url: string): Promise<HookPage> {
  const script = await (bundled ??= bundle());
  const context = await browser.newContext({ bypassCSP: true });
  context.setDefaultTimeout(15_000);
  await context.addInitScript(countListeners);
  const page = await context.newPage();
  const faults: string[] = [];
  const sent: string[] = [];
  const received: string[] = [];
  const sockets = { open: 0, ever: 0 };
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('websocket', (socket) => {
    sockets.open += 1;
    sockets.ever += 1;
    socket.on('close', () => (sockets.open -= 1));
    socket.on('framesent', ({ payload }) => sent.push(payload.toString()));
    socket.on('framereceived', ({ payload }) => received.push(payload.toString()));
  });
  // A page that Synap itself serves: one that the test made up would count as another network's, and may open no socket.
  await page.goto(`${url}/examples/`);
  await page.evaluate(script);
  // Playwright adds its own listeners when it is first asked to wait.
  await page.waitForFunction('globalThis.harness !== undefined');
  const inPage = <Value>(expression: string): Promise<Value> => page.evaluate<Value>(expression);
  const until = async <Seen>(name: string, matches: (it: Seen) => boolean): Promise<Seen> => {
    await page.waitForFunction(
      `((it) => it !== undefined && (${String(matches)})(it))(harness.seen[${JSON.stringify(name)}])`,
    );
    return inPage<Seen>(`harness.seen[${JSON.stringify(name)}]`);
  };
  return {
    ...{ page, context, faults, sent, until },
    sockets: () => ({ ...sockets }),
    joined: async (room) => {
      const isAnswer = (frame: string) => frame.includes('"ok":true') && frame.includes(`"room":"${room}"`);
      await eventually(() => Promise.resolve(received.find(isAnswer)), `${room} to be joined`);
    },
    mount: (shown) => inPage(`harness.mount(${JSON.stringify(shown)})`),
    unmount: () => inPage('harness.unmount()'),
    send: (type, data) => inPage(`harness.send(${JSON.stringify(type)}, ${JSON.stringify(data)})`),
    seen: (name) => inPage(`harness.seen[${JSON.stringify(name)}]`),
    calls: () => inPage('harness.calls'),
    listeners: async () => (await inPage<string[]>('listenersNow()')).filter((type) => type !== reacts).toSorted(),
  };
}
