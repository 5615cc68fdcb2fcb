import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createSynapClient } from '../../../src/client/index.js';
import type { SynapClient } from '../../../src/client/types.js';
import type { WireNotification } from '../../../src/realtime/contract.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { RealtimeStage, tokens, userNames } from '../../support/realtime.js';
import { Collected, eventually, within } from '../../support/signals.js';

// Several clients of one user, as tabs of a browser are: with the real locks and channels of the platform.

const newUser = userNames('shared');
let database: TestDatabase;
let stage: RealtimeStage;
const clients: SynapClient[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  stage = new RealtimeStage(database.url);
  await stage.start('local');
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await stage.close();
});

interface Tab {
  readonly client: SynapClient;
  readonly heard: Collected<WireNotification>;
}

/** A tab that is in its user's room. */
async function openTab(user: string): Promise<Tab> {
  const token = () => tokens.mint(user, { expiresInSeconds: 600 });
  const client = createSynapClient({ url: stage.node.url, token, shared: true, reconnect: { delayMs: 20 } });
  clients.push(client);
  const heard = new Collected<WireNotification>();
  await within(client.subscribe(`user_${user}`, { onNotification: heard.add }).ready, 'the room');
  return { client, heard };
}

const connections = (): number => stage.node.server.io.engine.clientsCount;
const numbers = ({ heard }: Tab) => heard.items.map(({ data }) => (data as { n: number }).n);

test('the tabs of a user have one connection, and each hears all', async () => {
  const user = newUser();
  const tabs = [await openTab(user), await openTab(user), await openTab(user)];
  expect(connections()).toBe(1);
  await stage.sayMany(user, 3);
  for (const tab of tabs) {
    await tab.heard.count(3, 'notifications');
    expect(numbers(tab)).toEqual([1, 2, 3]);
  }
});

test('when the tab with the connection closes, another takes over and nobody misses or repeats anything', async () => {
  const user = newUser();
  const [first, second, third] = [await openTab(user), await openTab(user), await openTab(user)];
  await stage.say(user, 1);
  await Promise.all([second, third].map(({ heard }) => heard.count(1, 'notification')));
  first.client.close();
  await stage.say(user, 2);
  await Promise.all([second, third].map(({ heard }) => heard.count(2, 'notifications')));
  await stage.say(user, 3);
  for (const tab of [second, third]) {
    await tab.heard.count(3, 'notifications');
    expect(numbers(tab)).toEqual([1, 2, 3]);
    expect(tab.client.state.get()).toBe('connected');
  }
  expect(connections()).toBe(1);
});

test('a room is left when the last tab that wants it has gone', async () => {
  const user = newUser();
  const [, second, third] = [await openTab(user), await openTab(user), await openTab(user)];
  await second.client.subscribe('request_shared').ready;
  await third.client.subscribe('request_shared').ready;
  const size = () => stage.node.server.io.sockets.adapter.rooms.get(`r:${user}:shared`)?.size;
  expect(size()).toBe(1);
  second.client.close();
  await third.client.subscribe('request_other').ready;
  expect(size()).toBe(1);
  third.client.close();
  await eventually(async () => (size() === undefined ? true : undefined), 'the room to be left');
});

test('a tab whose provider of tokens fails at first shares the connection like the others', async () => {
  const user = newUser();
  await openTab(user);
  let asked = 0;
  const late = createSynapClient({
    ...{ url: stage.node.url, shared: true, reconnect: { delayMs: 20 } },
    token() {
      asked += 1;
      if (asked === 1) throw new Error('the network');
      return tokens.mint(user, { expiresInSeconds: 600 });
    },
  });
  clients.push(late);
  await within(late.subscribe(`user_${user}`).ready, 'the room');
  expect(asked).toBeGreaterThan(1);
  expect(connections()).toBe(1);
});

test('tabs of two users have a connection each', async () => {
  const users = [newUser(), newUser()];
  const [ada, bob] = [await openTab(users[0]!), await openTab(users[1]!)];
  expect(connections()).toBe(2);
  await stage.say(users[0]!, 1);
  await stage.say(users[1]!, 2);
  await Promise.all([ada, bob].map(({ heard }) => heard.count(1, 'notification')));
  expect([numbers(ada), numbers(bob)]).toEqual([[1], [2]]);
});

test('a tab whose token is refused does not sign the others out', async () => {
  const user = newUser();
  const brief = createSynapClient({
    ...{ url: stage.node.url, shared: true, reconnect: { delayMs: 20 } },
    token: `${(await tokens.mint(user, { expiresInSeconds: 600 })).slice(0, -4)}AAAA`,
  });
  clients.push(brief);
  const states = new Collected<string>();
  brief.on('state', states.add);
  const good = await openTab(user);
  await states.first((state) => state === 'signed-out', 'the bad token to be refused');
  await stage.say(user, 1);
  await good.heard.count(1, 'notification');
  expect(good.client.state.get()).toBe('connected');
});
