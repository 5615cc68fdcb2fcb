import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Browser } from 'playwright-core';
import type { WireNotification } from '../../src/realtime/contract.js';
import type { RequestState } from '../../src/client/types.js';
import { createTokens } from '../../src/platform/tokens.js';
import { startProxy } from '../support/interruptible-proxy.js';
import { launchBrowser } from '../support/chromium.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/signals.js';
import { startSynap, testApiKey, testJwtSecret, type SynapProcess } from '../support/synap.js';
import { openHooks, type HookPage } from './react-kit.js';

const tokens = createTokens(testJwtSecret);
let database: TestDatabase;
let synap: SynapProcess;
let browser: Browser;
let hooks: HookPage | undefined;

beforeAll(async () => {
  database = await createTestDatabase();
  [synap, browser] = await Promise.all([startSynap({ databaseUrl: database.url }), launchBrowser()]);
}, 120_000);
afterAll(async () => {
  await browser.close();
  await synap.stop();
  await database.drop();
});
afterEach(async () => {
  await hooks?.context.close();
  const faults = hooks?.faults ?? [];
  hooks = undefined;
  if (faults.length > 0) throw new Error(`the page complained: ${faults.join('; ')}`);
});

interface Realtime {
  readonly lastMessage: WireNotification | null;
  readonly isConnected: boolean;
  readonly connectionState: string;
  readonly error: string | null;
  readonly notifications: readonly WireNotification[];
}
interface List {
  readonly items: readonly {
    readonly id: string;
    readonly seq: number;
    readonly seenAt: string | null;
    readonly data: { n?: number };
  }[];
  readonly unread: number;
  readonly isLoading: boolean;
  readonly hasMore: boolean;
}

async function open(url = synap.url): Promise<HookPage> {
  hooks = await openHooks(browser, url);
  return hooks;
}

const tokenOf = (userId: string) => tokens.mint(userId, { expiresInSeconds: 600 });

async function broadcast(room: string, n: number, type = 'test.told'): Promise<void> {
  const response = await fetch(`${synap.url}/rooms/${room}/broadcast`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-API-Key': testApiKey },
    body: JSON.stringify({ type, status: 'success', data: { n } }),
  });
  expect(response.status).toBe(200);
}

/** Numbers of what the hook has heard, in its order. */
const numbers = (seen: Realtime): unknown[] => seen.notifications.map(({ data }) => (data as { n: number }).n);

test('strict mode mounts twice and connects once', async () => {
  const it = await open();
  await it.mount({ what: 'realtime', userId: 'strict', token: await tokenOf('strict') });
  await it.until<Realtime>('realtime', ({ isConnected }) => isConnected);
  await it.joined('user_strict');
  await broadcast('user_strict', 1);
  const seen = await it.until<Realtime>('realtime', ({ lastMessage }) => lastMessage !== null);
  expect([it.sockets(), numbers(seen)]).toEqual([{ open: 1, ever: 1 }, [1]]);
  expect((await it.calls()).map(({ name }) => name)).toEqual(['connect', 'message']);
});

test('strict mode subscribes once to what a component needs that comes later', async () => {
  const it = await open();
  const token = await tokenOf('later');
  await it.mount({ what: 'nothing', token });
  await it.page.waitForFunction(`harness.seen['connection'] === 'connected'`);
  await it.mount({ what: 'request', requestId: 'comes-later', token });
  const frames = () => it.sent.filter((frame) => frame.includes('subscribe') && frame.includes('comes-later'));
  await eventually(async () => frames()[0], 'the subscription');
  await it.mount({ what: 'nothing', token });
  await eventually(async () => frames().find((frame) => frame.includes('"unsubscribe"')), 'the room to be left');
  expect(frames()).toHaveLength(2);
});

test('without a provider the hook has a connection of its own, and strict mode still makes one', async () => {
  const it = await open();
  await it.mount({ what: 'realtime', own: true, userId: 'alone', token: await tokenOf('alone') });
  await it.until<Realtime>('realtime', ({ isConnected }) => isConnected);
  await it.send('project.creation.requested', { name: 'By hand' });
  const seen = await it.until<Realtime>('realtime', (at) => at.lastMessage?.type === 'project.creation.completed');
  expect([seen.error, it.sockets().open]).toEqual([null, 1]);
});

test('after unmounting nothing is left: no socket, no listener, no subscription', async () => {
  const it = await open();
  const token = await tokenOf('gone');
  const before = await it.listeners();
  await it.mount({ what: 'request', requestId: 'left-behind', token });
  await it.page.waitForFunction(`harness.seen['connection'] === 'connected'`);
  await eventually(async () => it.sent.find((frame) => frame.includes('request_left-behind')), 'the subscription');
  expect((await it.listeners()).length).toBeGreaterThan(before.length);

  // The provider stays, the component goes: its room is left and the connection kept.
  await it.mount({ what: 'nothing', token });
  await eventually(async () => it.sent.find((frame) => frame.includes('"unsubscribe"')), 'the room to be left');
  expect(it.sockets()).toEqual({ open: 1, ever: 1 });

  await it.unmount();
  await eventually(async () => (it.sockets().open === 0 ? true : undefined), 'the socket to close');
  expect(await it.listeners()).toEqual(before);
});

test('callbacks and filters may be others at each render: the newest are called and nothing connects anew', async () => {
  const it = await open();
  const shown = { what: 'realtime', userId: 'changing', token: await tokenOf('changing') } as const;
  await it.mount({ ...shown, version: 1 });
  await it.until<Realtime>('realtime', ({ isConnected }) => isConnected);
  await it.joined('user_changing');
  await broadcast('user_changing', 1);
  await it.until<Realtime>('realtime', ({ lastMessage }) => lastMessage !== null);
  await it.mount({ ...shown, version: 2, only: 'test.wanted' });
  await broadcast('user_changing', 2);
  await broadcast('user_changing', 3, 'test.wanted');
  const seen = await it.until<Realtime>('realtime', ({ lastMessage }) => lastMessage?.type === 'test.wanted');
  expect(numbers(seen)).toEqual([1, 3]);
  const messages = (await it.calls()).filter(({ name }) => name === 'message');
  expect(messages.map(({ version }) => version)).toEqual([1, 2]);
  expect(it.sockets().ever).toBe(1);
  expect(it.sent.filter((frame) => frame.includes('"subscribe"')).length).toBe(1);
});

test('a notification that goes to the user’s room and to the request’s is heard once', async () => {
  const it = await open();
  const requestId = randomUUID();
  await it.mount({ what: 'realtime', userId: 'twice', requestId, token: await tokenOf('twice') });
  await it.until<Realtime>('realtime', ({ isConnected }) => isConnected);
  await it.joined(`request_${requestId}`);
  await post('twice', requestId, 'Heard once');
  const seen = await it.until<Realtime>('realtime', (at) => at.lastMessage?.status === 'success');
  const ids = seen.notifications.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(seen.notifications.map(({ type }) => type)).toEqual(await typesOf(requestId));
});

test('a room of another user is an error that says so, and not silence', async () => {
  const it = await open();
  await it.mount({ what: 'realtime', userId: 'somebody-else', token: await tokenOf('nosy') });
  const seen = await it.until<Realtime>('realtime', ({ error }) => error !== null);
  expect(seen.notifications).toEqual([]);
  expect((await it.calls()).filter(({ name }) => name === 'error')).toHaveLength(1);
});

test('over an interruption the hook says how it is connected, and misses and repeats nothing', async () => {
  const proxy = await startProxy(synap.url);
  const it = await open(proxy.url);
  await it.mount({ what: 'realtime', userId: 'cut', token: await tokenOf('cut') });
  await it.until<Realtime>('realtime', ({ isConnected }) => isConnected);
  await it.joined('user_cut');
  await broadcast('user_cut', 1);
  await it.until<Realtime>('realtime', ({ notifications }) => notifications.length === 1);
  await proxy.cut();
  await it.until<Realtime>('realtime', ({ connectionState }) => connectionState === 'reconnecting');
  await broadcast('user_cut', 2);
  await broadcast('user_cut', 3);
  await proxy.mend();
  const seen = await it.until<Realtime>('realtime', ({ notifications }) => notifications.length === 3);
  expect(numbers(seen)).toEqual([1, 2, 3]);
  const calls = (await it.calls()).map(({ name }) => name).filter((name) => name.endsWith('connect'));
  expect(calls).toEqual(['connect', 'disconnect', 'connect']);
  it.faults.splice(0); // Chromium reports each refused connection.
  await it.context.close();
  await proxy.close();
});

test('a request is followed from its sending to its result, also by a page that comes after its end', async () => {
  const it = await open();
  const requestId = randomUUID();
  const token = await tokenOf('follower');
  await it.mount({ what: 'request', requestId, token });
  await it.page.waitForFunction(`harness.seen['connection'] === 'connected'`);
  await it.send('note.creation.requested', { title: 'Followed', content: 'To its end.' });
  const end = await it.until<RequestState>('request', ({ status }) => status === 'completed');
  expect(end).toMatchObject({ requestId, percent: 100, result: { title: 'Followed' } });
  expect(end.notifications.map(({ type }) => type)).toEqual(await typesOf(requestId));

  const later = await openHooks(browser, synap.url);
  await later.mount({ what: 'request', requestId, token });
  const found = await later.until<RequestState>('request', ({ status }) => status === 'completed');
  expect(found).toEqual(end);
  await later.context.close();
});

test('the stored notifications are shown in pages, go on live, and count what was not seen', async () => {
  for (let n = 1; n <= 5; n += 1) await broadcast('user_reader', n);
  const it = await open();
  await it.mount({ what: 'notifications', limit: 3, token: await tokenOf('reader') });
  const shown = (list: List) => list.items.map(({ data }) => data.n);
  const first = await it.until<List>('notifications', ({ isLoading }) => !isLoading);
  expect([shown(first), first.unread, first.hasMore]).toEqual([[5, 4, 3], 5, true]);

  await broadcast('user_reader', 6);
  expect(shown(await it.until<List>('notifications', ({ items }) => items.length === 4))).toEqual([6, 5, 4, 3]);
  await it.page.evaluate('harness.loadMore()');
  const all = await it.until<List>('notifications', ({ items }) => items.length === 6);
  expect([shown(all), all.unread, all.hasMore]).toEqual([[6, 5, 4, 3, 2, 1], 6, false]);

  await it.page.evaluate('harness.markSeen()');
  await it.until<List>(
    'notifications',
    ({ unread, items }) => unread === 0 && items.every((item) => item.seenAt !== null),
  );
  await broadcast('user_reader', 7);
  expect((await it.until<List>('notifications', ({ items }) => items.length === 7)).unread).toBe(1);
  const { rows } = await database.pool.query<{ id: string }>(
    `SELECT n.id FROM room_entries e JOIN notifications n ON n.id = e."notificationId" WHERE e.room = 'u:reader' ORDER BY e.seq DESC`,
  );
  expect((await it.seen<List>('notifications')).items.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
});

test('a list whose room began anew, or is out of reach at first, is loaded again', async () => {
  const proxy = await startProxy(synap.url);
  const it = await open(proxy.url);
  await it.context.route('**/v1/notifications?*', (route) => route.abort(), { times: 1 });
  await broadcast('user_anew', 1);
  await it.mount({ what: 'notifications', limit: 10, token: await tokenOf('anew') });
  await it.until<List>('notifications', ({ items }) => items.length === 1);

  await proxy.cut();
  await it.page.waitForFunction(`harness.seen['connection'] !== 'connected'`);
  // As retention leaves it: the room is forgotten, and begins a new epoch with its next notification.
  await database.pool.query(`DELETE FROM room_entries WHERE room = 'u:anew'`);
  await database.pool.query(`DELETE FROM rooms WHERE key = 'u:anew'`);
  await broadcast('user_anew', 2);
  await proxy.mend();
  const list = await it.until<List>('notifications', ({ items }) => items[0]?.data.n === 2);
  expect(list.items.map(({ data }) => data.n)).toEqual([2]);
  it.faults.splice(0);
  await it.context.close();
  await proxy.close();
});

async function post(userId: string, requestId: string, name: string): Promise<void> {
  const response = await fetch(`${synap.url}/v1/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${await tokenOf(userId)}` },
    body: JSON.stringify({ type: 'project.creation.requested', requestId, data: { name } }),
  });
  expect(response.status).toBe(202);
}

/** The types of a request's notifications, in the order in which Postgres numbered them. */
async function typesOf(requestId: string): Promise<string[]> {
  const { rows } = await database.pool.query<{ type: string }>(
    `SELECT n.type FROM notifications n JOIN room_entries e ON n.id = e."notificationId"
      WHERE n."requestId" = $1 AND e.room LIKE '%' || $1 ORDER BY e.seq`,
    [requestId],
  );
  return rows.map(({ type }) => type);
}
