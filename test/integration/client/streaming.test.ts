import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { AddressInfo } from 'node:net';
import { createServer, request, type Server } from 'node:http';
import { once } from 'node:events';
import { createSynapClient } from '../../../src/client/index.js';
import type { SynapClient, SynapClientOptions } from '../../../src/client/types.js';
import { createTokens } from '../../../src/platform/tokens.js';
import type { WireNotification } from '../../../src/realtime/contract.js';
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
