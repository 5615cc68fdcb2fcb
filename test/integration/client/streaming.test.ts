import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { AddressInfo } from 'node:net';
import { createServer, request, type Server } from 'node:http';
import { once } from 'node:events';
import { createEnvironment, type Environment } from '../../../src/client/environment.js';
import { createSynapClient } from '../../../src/client/index.js';
import type { Session } from '../../../src/client/session.js';
import { streamSessions } from '../../../src/client/stream-session.js';
import type { SynapClient, SynapClientOptions } from '../../../src/client/types.js';
import { createTokens } from '../../../src/platform/tokens.js';
import type { RoomHead, WireNotification } from '../../../src/realtime/contract.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startProxy, type InterruptibleProxy } from '../../support/interruptible-proxy.js';
import { Collected, within } from '../../support/signals.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../../support/synap.js';

// Where sockets are blocked: synap/client over server-sent events, against a real Synap.

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
const newUser = () => `streamer-${(users += 1)}`;

function connect(userId: string, more: Partial<SynapClientOptions> = {}): SynapClient {
  const token = () => tokens.mint(userId, { expiresInSeconds: 600 });
  const client = createSynapClient({ url: proxy.url, token, reconnect: { delayMs: 20 }, ...more });
  clients.push(client);
  return client;
}

const create = (client: SynapClient, name: string) =>
  client.send({ type: 'project.creation.requested', data: { name } });
const names = (heard: Collected<WireNotification>) =>
  heard.items.filter(({ status }) => status === 'success').map(({ data }) => (data as { name: string }).name);

test('over streams a request goes its way to its end, and what is missed arrives, once and in order', async () => {
  const user = newUser();
  const client = connect(user, { transport: 'stream' });
  const heard = new Collected<WireNotification>();
  await within(client.subscribe(`user_${user}`, { onNotification: heard.add }).ready, 'the room');
  const { requestId } = create(client, 'First');
  expect(await within(client.waitFor(requestId), 'the end')).toMatchObject({ status: 'success', requestId });
  await proxy.cut();
  const other = connect(user, { url: synap.url });
  for (const name of ['Second', 'Third']) await other.waitFor(create(other, name).requestId);
  await proxy.mend();
  await heard.first(
    ({ status, data }) => status === 'success' && (data as { name: string }).name === 'Third',
    'the last',
  );
  expect(names(heard)).toEqual(['First', 'Second', 'Third']);
  expect(heard.items.map(({ seq }) => seq)).toEqual(heard.items.map((_, index) => index + 1));
});

test('a room that is another’s is refused, and one that lost what was missed says so', async () => {
  const user = newUser();
  const client = connect(user, { transport: 'stream' });
  await expect(client.subscribe('user_someone-else').ready).rejects.toMatchObject({ code: 'forbidden' });
  await client.waitFor(create(client, 'One').requestId);
  const resets = new Collected<string>();
  const epoch = crypto.randomUUID();
  client.subscribe(`user_${user}`, { onReset: resets.add }, { epoch, seq: 1 });
  await resets.first((reason) => reason === 'epoch_changed', 'the reset');
});

interface Shared {
  readonly session: Session;
  readonly heard: Collected<WireNotification>;
  readonly ended: Collected<unknown>;
}

/** What the tab that holds the connection has, for itself and for the others. */
async function openSession(user: string, environment: Environment = createEnvironment()): Promise<Shared> {
  const heard = new Collected<WireNotification>();
  const [opened, ended] = [new Collected<true>(), new Collected<unknown>()];
  const nothing = () => {};
  const session = streamSessions(synap.url, environment)(await tokens.mint(user, { expiresInSeconds: 600 }), {
    ...{ onReady: nothing, onCheck: nothing, onClosing: nothing, onProgress: nothing, onDelta: nothing },
    ...{ onPong: nothing, onEnd: ended.add, onOpen: () => opened.add(true) },
    onNotifications: (notifications) => notifications.forEach(heard.add),
  });
  sessions.push(session);
  await opened.count(1, 'the session');
  return { session, heard, ended };
}

const sessions: Session[] = [];
afterEach(() => {
  for (const session of sessions.splice(0)) session.close();
});

/** A user with so many requests that have ended. @returns the room's head */
async function withHistory(user: string, requests: number): Promise<{ room: string; head: RoomHead }> {
  const room = `user_${user}`;
  const client = connect(user, { url: synap.url });
  const heard = new Collected<WireNotification>();
  await client.subscribe(room, { onNotification: heard.add }).ready;
  for (let n = 1; n <= requests; n += 1) await client.waitFor(create(client, `Number ${n}`).requestId);
  await heard.first(({ data }) => (data as { name?: string }).name === `Number ${requests}`, 'the last');
  const { epoch, seq } = heard.items.at(-1)!;
  return { room, head: { epoch, seq } };
}

test('tabs that subscribe to a room at once are all answered, and each gets what comes after its own place', async () => {
  const user = newUser();
  const { room, head } = await withHistory(user, 3);
  const places: (RoomHead | undefined)[] = [head, { epoch: head.epoch, seq: 1 }, undefined, { epoch: null, seq: 0 }];
  const { session, heard, ended } = await openSession(user);
  const answers = await within(
    Promise.all(places.map((since) => session.call('subscribe', { room, ...(since && { since }) }))),
    'the answers',
  );
  expect(answers.map((answer) => answer.ok && [answer.seq, answer.recovered])).toEqual([
    [head.seq, true],
    [1, true],
    [head.seq, false],
    [0, true],
  ]);
  await heard.first(({ seq }) => seq === head.seq, 'the newest');
  expect([...new Set(heard.items.map(({ seq }) => seq))].toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: head.seq }, (_, index) => index + 1),
  );
  expect(ended.items).toEqual([]);
});

test('a tab that comes later does not take away from another what that one has not heard yet', async () => {
  const user = newUser();
  const { room, head } = await withHistory(user, 2);
  const { session, heard } = await openSession(user);
  const [first] = await Promise.all([
    session.call('subscribe', { room, since: { epoch: null, seq: 0 } }),
    session.call('subscribe', { room, since: head }),
  ]);
  expect(first).toMatchObject({ ok: true, seq: 0, recovered: true });
  await heard.first(({ seq }) => seq === head.seq, 'the newest');
  expect(new Set(heard.items.map(({ seq }) => seq)).size).toBe(head.seq);
});

test('a room that was empty is gone on from by the time of the server, and not by the device’s clock', async () => {
  const user = newUser();
  const asked: (string | null)[] = [];
  const environment: Environment = {
    ...createEnvironment(),
    now: () => 0,
    fetch(input, init) {
      asked.push(new Headers(init?.headers).get('Last-Event-ID'));
      return fetch(input, init);
    },
  };
  const { session } = await openSession(user, environment);
  const room = `user_${user}`;
  const before = Date.now() - 60_000;
  const answer = await session.call('subscribe', { room });
  if (!answer.ok) throw new Error(answer.message);
  expect(Date.parse(answer.at)).toBeGreaterThan(before);
  const { epoch, seq, at } = answer;
  session.tell('unsubscribe', { room });
  await session.call('subscribe', { room, since: { epoch, seq, at } });
  expect(asked.at(-1)).toBe(`null.0.${Date.parse(at)}`);
});

test('where sockets do not come through, streams do after three attempts', async () => {
  const user = newUser();
  const way = await startBlockingProxy(synap.url);
  try {
    const client = connect(user, { url: way.url });
    expect(await within(client.waitFor(create(client, 'Through').requestId), 'the end')).toMatchObject({
      status: 'success',
    });
    expect(client.state.get()).toBe('connected');
  } finally {
    closeClients();
    way.server.closeAllConnections();
    way.server.close();
  }
});

function closeClients(): void {
  for (const client of clients.splice(0)) client.close();
}

/** A proxy as some companies have: it knows HTTP, and not what Socket.IO asks for. */
async function startBlockingProxy(target: string): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((incoming, outgoing) => {
    if (incoming.url?.startsWith('/socket.io') === true) return void outgoing.writeHead(403).end();
    const { method, headers } = incoming;
    const passed = request(
      `${target}${incoming.url}`,
      { ...(method !== undefined && { method }), headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    passed.on('error', () => outgoing.destroy());
    outgoing.on('close', () => passed.destroy());
    incoming.pipe(passed);
  });
  server.on('upgrade', (_incoming, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
