import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { io } from 'socket.io-client';
import { createClient } from '../../../src/client/client.js';
import { createEnvironment } from '../../../src/client/environment.js';
import { createSynapClient } from '../../../src/client/index.js';
import type { SynapClient } from '../../../src/client/types.js';
import type { WireNotification } from '../../../src/realtime/contract.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startProxy, type InterruptibleProxy } from '../../support/interruptible-proxy.js';
import { RealtimeStage, tokens, userNames } from '../../support/realtime.js';
import { Collected, within } from '../../support/signals.js';

// synap/client against a real server, through a network that fails.

const newUser = userNames('resuming');
let database: TestDatabase;
let stage: RealtimeStage;
let proxy: InterruptibleProxy;
const clients: SynapClient[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  stage = new RealtimeStage(database.url);
  await stage.start('local');
  proxy = await startProxy(stage.node.url);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await proxy.close();
  await stage.close();
});

function connect(userId: string): SynapClient {
  const token = () => tokens.mint(userId, { expiresInSeconds: 600 });
  const client = createSynapClient({ url: proxy.url, token, reconnect: { delayMs: 20 } });
  clients.push(client);
  return client;
}

function state(client: SynapClient, wanted: string): Promise<unknown> {
  const states = new Collected<string>();
  client.on('state', states.add);
  states.add(client.state.get());
  return states.first((is) => is === wanted, `the state ${wanted}`);
}

const numbers = (items: readonly WireNotification[]) => items.map(({ data }) => (data as { n: number }).n);

describe('a room over interruptions', () => {
  test('what happened while the connection was cut arrives after it, once and in order', async () => {
    const user = newUser();
    const client = connect(user);
    const heard = new Collected<WireNotification>();
    const room = client.subscribe(`user_${user}`, { onNotification: heard.add });
    await within(room.ready, 'the room');
    await stage.say(user, 1);
    await heard.count(1, 'notifications');
    await proxy.cut();
    await state(client, 'reconnecting');
    await stage.sayMany(user, 3);
    await proxy.mend();
    await heard.count(4, 'notifications');
    await stage.say(user, 9);
    await heard.count(5, 'notifications');
    expect(numbers(heard.items)).toEqual([1, 1, 2, 3, 9]);
    expect(heard.items.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  test('a notification of two rooms is one for the client', async () => {
    const user = newUser();
    const client = connect(user);
    const heard = new Collected<WireNotification>();
    const ofRequest = new Collected<WireNotification>();
    client.on('notification', heard.add);
    await client.subscribe(`user_${user}`).ready;
    await client.subscribe('request_r1', { onNotification: ofRequest.add }).ready;
    await stage.say(user, 1, 'r1');
    await stage.say(user, 2);
    await ofRequest.count(1, 'notifications of the request');
    await heard.first(({ data }) => (data as { n: number }).n === 2, 'the second');
    expect(numbers(heard.items)).toEqual([1, 2]);
  });

  test('who begins at the beginning hears all that is stored, and who listens already hears nothing twice', async () => {
    const user = newUser();
    await stage.sayMany(user, 3);
    const client = connect(user);
    const late = new Collected<WireNotification>();
    const early = new Collected<WireNotification>();
    await client.subscribe(`user_${user}`, { onNotification: early.add }).ready;
    client.subscribe(`user_${user}`, { onNotification: late.add }, 'beginning');
    await late.count(3, 'notifications');
    await stage.say(user, 4);
    await late.count(4, 'notifications');
    await early.count(1, 'notification');
    expect(numbers(late.items)).toEqual([1, 2, 3, 4]);
    expect(numbers(early.items)).toEqual([4]);
  });

  test('another user’s room is refused', async () => {
    const client = connect(newUser());
    await expect(client.subscribe('user_someone-else').ready).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('a connection that ends in other ways', () => {
  test('one that dies without a word is noticed by the ping that nobody answers', async () => {
    const user = newUser();
    const environment = createEnvironment();
    // Time passes faster: half a minute in one second and a half.
    const hurried = {
      ...environment,
      after: (delayMs: number, run: () => void) => environment.after(delayMs / 20, run),
    };
    const token = () => tokens.mint(user, { expiresInSeconds: 600 });
    const client = createClient(io, { url: proxy.url, token }, hurried);
    clients.push(client);
    const heard = new Collected<WireNotification>();
    await client.subscribe(`user_${user}`, { onNotification: heard.add }).ready;
    proxy.forget();
    await stage.say(user, 1);
    await heard.count(1, 'notification');
    await stage.say(user, 2);
    await heard.count(2, 'notifications');
    expect(numbers(heard.items)).toEqual([1, 2]);
  });

  test('a token that ends is replaced by the provider’s next, and nothing is missed', async () => {
    const user = newUser();
    let given = 0;
    const token = () => tokens.mint(user, { expiresInSeconds: (given += 1) === 1 ? 2 : 600 });
    const client = createSynapClient({ url: proxy.url, token });
    clients.push(client);
    const states: string[] = [];
    client.on('state', (is) => states.push(is));
    const heard = new Collected<WireNotification>();
    await client.subscribe(`user_${user}`, { onNotification: heard.add }).ready;
    await state(client, 'reconnecting');
    await stage.say(user, 1);
    await heard.count(1, 'notification');
    expect(states).toEqual(['connected', 'reconnecting', 'connected']);
  });

  test('a token that the server refuses signs out', async () => {
    const client = createSynapClient({ url: proxy.url, token: 'nonsense' });
    clients.push(client);
    await state(client, 'signed-out');
  });
});
