import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createSynapClient } from '../../../src/client/index.js';
import type { RequestState, SynapClient, SynapClientOptions } from '../../../src/client/types.js';
import { createTokens } from '../../../src/platform/tokens.js';
import type { WireNotification } from '../../../src/realtime/contract.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startProxy, type InterruptibleProxy } from '../../support/interruptible-proxy.js';
import { freePort } from '../../support/ports.js';
import { Collected, within } from '../../support/signals.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../../support/synap.js';

// Sending through synap/client to a real Synap, over a network that fails.

const tokens = createTokens(testJwtSecret);
let database: TestDatabase;
let synap: SynapProcess;
let proxy: InterruptibleProxy;
const clients: SynapClient[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  synap = await startSynap({ databaseUrl: database.url });
}, 40_000);
afterAll(async () => {
  await synap.stop();
  await database.drop();
});
beforeEach(async () => {
  proxy = await startProxy(synap.url);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await proxy.close();
});

let users = 0;
const newUser = () => `sender-${(users += 1)}`;

function connect(userId: string, more: Partial<SynapClientOptions> = {}): SynapClient {
  const token = () => tokens.mint(userId, { expiresInSeconds: 600 });
  const client = createSynapClient({ url: proxy.url, token, reconnect: { delayMs: 20 }, ...more });
  clients.push(client);
  return client;
}

const note = (title: string) => ({ type: 'note.creation.requested', data: { title, content: 'x' } });
const storageOf = (items: Map<string, string>) => ({
  getItem: (key: string) => items.get(key) ?? null,
  setItem: (key: string, value: string) => void items.set(key, value),
  removeItem: (key: string) => void items.delete(key),
});
/** As they were accepted. */
const titles = async (userId: string, { pool } = database) => {
  const { rows } = await pool.query<{ title: string }>(
    `SELECT data->>'title' AS title FROM events WHERE "userId" = $1 AND type = 'note.creation.requested' ORDER BY timestamp, id`,
    [userId],
  );
  return rows.map(({ title }) => title);
};

test('an event is sent, and its request goes its way to the end', async () => {
  const user = newUser();
  const client = connect(user);
  const { requestId, accepted } = client.send(note('First'));
  const states = new Collected<RequestState>();
  const request = client.request(requestId);
  request.subscribe(() => states.add(request.get()));
  expect(await within(accepted, 'the 202')).toMatchObject({ requestId });
  const end = await within(client.waitFor(requestId), 'the end');
  expect(end).toMatchObject({ type: 'note.creation.completed', status: 'success', requestId });
  expect(request.get()).toMatchObject({ status: 'completed', percent: 100, result: { title: 'First' } });
  expect(request.get().notifications.map(({ type }) => type)).toEqual([
    'note.creation.started',
    'note.creation.completed',
  ]);
  expect(request.get()).toBe(request.get());
  expect(client.unsent.get()).toBe(0);
});

test('what is sent without a network is posted when it is back: in order, each once', async () => {
  const user = newUser();
  const client = connect(user);
  await client.subscribe(`user_${user}`).ready;
  await proxy.cut();
  const sent = ['One', 'Two', 'Three'].map((title) => client.send(note(title)));
  expect(client.unsent.get()).toBe(3);
  await proxy.mend();
  await within(Promise.all(sent.map(({ accepted }) => accepted)), 'all to be accepted');
  await within(Promise.all(sent.map(({ requestId }) => client.waitFor(requestId))), 'all to end');
  expect(await titles(user)).toEqual(['One', 'Two', 'Three']);
});

test('what a page could not send is sent by the next page of the same user, and by nobody else’s', async () => {
  const items = new Map<string, string>();
  const storage = storageOf(items);
  const user = newUser();
  const other = newUser();
  const token = await tokens.mint(user, { expiresInSeconds: 600 });
  await proxy.cut();
  const first = connect(user, { storage, token });
  const { requestId, accepted } = first.send(note('Left behind'));
  first.close();
  await expect(accepted).rejects.toMatchObject({ code: 'closed' });
  await proxy.mend();
  const stranger = connect(other, { storage });
  await stranger.subscribe(`user_${other}`).ready;
  expect(stranger.unsent.get()).toBe(0);
  const second = connect(user, { storage, token });
  await within(second.waitFor(requestId), 'the end');
  expect(await titles(user)).toEqual(['Left behind']);
  expect(await titles(other)).toEqual([]);
  expect([...items.keys()]).toEqual(['synap.device']);
});

test('what is posted again after days, when its key counts no more, is still one event', async () => {
  const user = newUser();
  const token = await tokens.mint(user, { expiresInSeconds: 600 });
  const items = new Map<string, string>();
  const storage = storageOf(items);
  await proxy.cut();
  const first = connect(user, { storage, token });
  const { requestId } = first.send(note('Once'));
  first.close();
  const kept = new Map(items);
  await proxy.mend();
  const second = connect(user, { storage, token });
  await within(second.waitFor(requestId), 'the end');
  // Its answer was lost, and the device was away for longer than a key counts.
  for (const [key, value] of kept) items.set(key, value);
  await database.pool.query(`UPDATE idempotency_keys SET "createdAt" = now() - interval '3 days' WHERE "userId" = $1`, [
    user,
  ]);
  const third = connect(user, { storage, token });
  expect(third.unsent.get()).toBe(1);
  const { promise, resolve } = Promise.withResolvers<void>();
  third.unsent.subscribe(() => third.unsent.get() === 0 && resolve());
  await within(promise, 'the answer');
  expect(third.request(requestId).get().error).toBeUndefined();
  expect(await titles(user)).toEqual(['Once']);
});

test('a request may have several events: each is accepted, and each once', async () => {
  const user = newUser();
  const client = connect(user);
  const requestId = `several-${user}`;
  const sent = ['One', 'Two', 'One'].map((title) => client.send({ ...note(title), requestId }));
  const accepted = await within(Promise.all(sent.map((each) => each.accepted)), 'all to be accepted');
  expect(new Set(accepted.map(({ eventId }) => eventId)).size).toBe(2);
  expect(await titles(user)).toEqual(['One', 'Two']);
});

test('a request that is cancelled is shown as cancelled', async () => {
  const user = newUser();
  const token = await tokens.mint(user, { expiresInSeconds: 600 });
  const client = connect(user, { token });
  const runAt = new Date(Date.now() + 3_600_000).toISOString();
  const { requestId, accepted } = client.send({ ...note('Never'), runAt });
  await within(accepted, 'the 202');
  const headers = { Authorization: `Bearer ${token}` };
  await fetch(`${synap.url}/v1/requests/${requestId}`, { method: 'DELETE', headers });
  const end = await within(client.waitFor(requestId), 'the end');
  expect(end.type).toBe('note.creation.cancelled');
  expect(client.request(requestId).get().status).toBe('cancelled');
});

test('an event that is refused is told with its code and its faults, and does not hold up the next', async () => {
  const client = connect(newUser());
  const bad = client.send({ type: 'note.creation.requested', data: { title: 7 } });
  const good = client.send(note('Good'));
  await expect(bad.accepted).rejects.toMatchObject({
    ...{ name: 'SynapClientError', code: 'validation_failed', status: 400 },
    faults: expect.arrayContaining([expect.objectContaining({ path: 'data.title' })]),
  });
  expect(client.request(bad.requestId).get()).toMatchObject({ status: 'failed', error: { code: 'validation_failed' } });
  await within(good.accepted, 'the 202');
});

test('waiting ends with the signal, and with the client', async () => {
  const client = connect(newUser());
  const controller = new AbortController();
  const aborted = client.waitFor('never-1', { signal: controller.signal });
  const closed = client.waitFor('never-2');
  controller.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  client.close();
  await expect(closed).rejects.toMatchObject({ code: 'closed' });
});

test('a server that is killed and replaced costs nothing: what was sent ends, once, and the room has all of it', async () => {
  const user = newUser();
  const env = { PORT: String(await freePort()) };
  const own = await createTestDatabase();
  const first = await startSynap({ databaseUrl: own.url, env });
  const client = connect(user, { url: `http://127.0.0.1:${env.PORT}` });
  const heard = new Collected<WireNotification>();
  await client.subscribe(`user_${user}`, { onNotification: heard.add }).ready;
  const one = client.send(note('One'));
  await client.waitFor(one.requestId);
  await first.kill();
  const sent = [one, ...['Two', 'Three', 'Four'].map((title) => client.send(note(title)))];
  const second = await startSynap({ databaseUrl: own.url, env });
  try {
    await within(Promise.all(sent.map(({ requestId }) => client.waitFor(requestId))), 'all to end', 30_000);
    await heard.first(({ seq }) => seq === 8, 'all notifications of the user');
    expect(await titles(user, own)).toEqual(['One', 'Two', 'Three', 'Four']);
    expect(heard.items.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  } finally {
    client.close();
    await second.stop();
    await own.drop();
  }
}, 60_000);
