import { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { knock, knockAtOnce, upgradeByHand } from '../../../test/support/engine.js';
import { ManualClock } from '../../../test/support/manual-clock.js';
import { RealtimeStage, tokens, userNames, type ConnectedClient } from '../../../test/support/realtime.js';
import { Collected, eventually, nextEvent } from '../../../test/support/signals.js';
import type { Ready, WireNotification } from '../contract.js';
import { refuseUpgrade } from './refused-upgrade.js';
import { roomKey, userRoom } from '../rooms.js';

let database: TestDatabase;
let stage: RealtimeStage;
beforeAll(async () => {
  database = await createTestDatabase();
  stage = new RealtimeStage(database.url);
});
afterAll(() => database.drop());
beforeEach(() => stage.start('local'));
afterEach(() => stage.close());

const newUser = userNames('handshake');
const tokenOf = (userId: string, expiresInSeconds = 60) => tokens.mint(userId, { expiresInSeconds });

const refusal = async (client: ConnectedClient) =>
  (await nextEvent<Error & { data?: unknown }>(client.socket as never, 'connect_error')).data;

async function refusedFor(reason: string): Promise<number> {
  const { values } = await stage.node.metrics.websocketConnectionsRefused.get();
  return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
}

async function restart(server: Parameters<RealtimeStage['start']>[1]): Promise<void> {
  await stage.close();
  await stage.start('local', server);
}

describe('ready', () => {
  test('is the first thing that a connection hears, while others speak in its room', async () => {
    const userId = newUser();
    const client = stage.open({ token: await tokenOf(userId), device: { id: 'phone-1', name: 'Ada’s phone' } });
    const heard = new Collected<{ event: string; payload: unknown }>();
    client.socket.onAny((event: string, payload: unknown) => heard.add({ event, payload }));
    // In the very turn in which the connection is made.
    const { io } = stage.node.server;
    io.once('connection', () => io.to(roomKey(userRoom(userId))).emit('notification', { seq: 1 } as WireNotification));
    await heard.first(({ event }) => event === 'notification', 'a notification');
    const [first] = heard.items;
    expect(first?.event).toBe('ready');
    expect(first?.payload).toEqual({
      connectionId: client.socket.id,
      userId,
      deviceId: 'phone-1',
      expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });

  test('leaves in one write with the word that the connection is made, over a WebSocket', async () => {
    const flushed = new Collected<string[]>();
    let writes = 0;
    // Of packets that are flushed together each would still be a write of its own.
    stage.node.httpServer.on('connection', (tcp: Duplex) => {
      const writev = tcp._writev?.bind(tcp);
      tcp._writev = (chunks, done) => {
        writes++;
        writev?.(chunks, done);
      };
    });
    stage.node.server.io.engine.on('flush', (_connection: unknown, packets: { data?: string }[]) => {
      flushed.add(packets.map(({ data }) => data?.slice(0, 9) ?? ''));
    });
    const client = stage.open({ token: await tokenOf(newUser()) });
    client.socket.io.opts.transports = ['websocket'];
    await nextEvent(client.socket as never, 'ready');
    const welcome = await flushed.first((packets) => packets.length > 1, 'the welcome');
    expect(welcome.map((packet) => packet.slice(0, 2))).toEqual(['0{', '2[']);
    // Engine.IO's own handshake before it, and the welcome.
    expect(writes).toBe(2);
  });

  test('names no device and no end where there are none', async () => {
    const endless = {
      ...tokens,
      verify: (token: string) => tokens.verify(token).then(({ userId }) => ({ userId, expiresAt: undefined })),
    };
    await restart({ server: { tokens: endless } });
    const client = stage.open({ token: await tokenOf(newUser()) });
    expect(await nextEvent<Ready>(client.socket as never, 'ready')).toMatchObject({ deviceId: null, expiresAt: null });
  });
});

test.each([
  ['a device without an id', { device: { name: 'x' } }],
  ['a device whose id is no id', { device: { id: 'a b' } }],
  ['a device that is a word', { device: 'phone' }],
  ['batch that is no answer', { batch: 'yes' }],
])('%s is refused with invalid_message', async (_what, auth) => {
  const client = stage.open({ token: await tokenOf(newUser()), ...auth });
  expect(await refusal(client)).toMatchObject({ code: 'invalid_message' });
});

test('a token longer than any of ours is refused before it is looked at', async () => {
  let looked = 0;
  const verify = (token: string) => {
    looked += 1;
    return tokens.verify(token);
  };
  await restart({ server: { tokens: { ...tokens, verify } } });
  expect(await refusal(stage.open({ token: 'x'.repeat(9_000) }))).toMatchObject({ code: 'token_invalid' });
  expect(looked).toBe(0);
});

describe.each(['polling', 'websocket'] as const)('the origin of a page, %s', (transport) => {
  const accepted = transport === 'polling' ? 200 : 101;

  test.each([
    ['http://evil.example', 403],
    ['null', 403],
    ['nonsense', 403],
    ['http://localhost:5173', accepted],
  ])('%s', async (origin, status) => {
    const answer = await knock(stage.node.url, transport, { Origin: origin });
    expect(answer.status).toBe(status);
    expect(answer.text.includes('origin_not_allowed')).toBe(status === 403);
    expect(await refusedFor('origin_not_allowed')).toBe(status === 403 ? 1 : 0);
  });

  test('of the server itself, and none as outside browsers, are let in', async () => {
    expect((await knock(stage.node.url, transport, { Origin: stage.node.url })).status).toBe(accepted);
    expect((await knock(stage.node.url, transport)).status).toBe(accepted);
    const behindProxy = { Host: 'synap.example', Origin: 'https://synap.example' };
    expect((await knock(stage.node.url, transport, behindProxy)).status).toBe(accepted);
  });
});

describe('who is refused an upgrade', () => {
  const evil = { Origin: 'http://evil.example' };
  const connections = () =>
    new Promise<number>((resolve) => stage.node.httpServer.getConnections((_error, count) => resolve(count)));
  const noneIsLeft = () =>
    eventually(async () => (await connections()) === 0 || undefined, 'the refused connections to be gone');

  test('and resets the connection is the end of nobody else', async () => {
    for (let n = 0; n < 20; n++) {
      const tcp = await upgradeByHand(stage.node.url, evil);
      await nextEvent(tcp, 'data');
      tcp.write('more');
      tcp.resetAndDestroy();
    }
    await noneIsLeft();
    await stage.connect(newUser());
  });

  test.each([
    ['for its origin', undefined],
    ['for its path', '/elsewhere'],
  ])('%s, sends more and leaves, leaves no connection behind', async (_why, path) => {
    for (let n = 0; n < 5; n++) {
      const tcp = await upgradeByHand(stage.node.url, evil, path);
      expect((await nextEvent<Buffer>(tcp, 'data')).toString()).toMatch(/^HTTP\/1\.1 40[34] /);
      await new Promise((resolve) => tcp.write('more', resolve));
      tcp.destroy();
    }
    await noneIsLeft();
  });

  test('is cut after a second where the answer cannot be sent', async () => {
    const clock = new ManualClock();
    const stuck = new Duplex({ read: () => undefined, write: () => undefined });
    refuseUpgrade(stuck, '403 Forbidden', 'draining', clock);
    await clock.advance(900);
    expect(stuck.destroyed).toBe(false);
    await clock.advance(200);
    expect(stuck.destroyed).toBe(true);
  });
});

describe('connections of one user', () => {
  test('are so many and no more, and a place that is given back is free', async () => {
    await restart({ server: { limits: { perUser: 2 } } });
    const [userId, other] = [newUser(), newUser()];
    const [one] = [await stage.connect(userId), await stage.connect(userId)];
    const third = stage.open({ token: await tokenOf(userId) });
    expect(await refusal(third)).toMatchObject({ code: 'too_many_connections' });
    expect(await refusedFor('too_many_connections')).toBe(1);
    await stage.connect(other);
    one.socket.disconnect();
    third.socket.connect();
    await nextEvent(third.socket as never, 'connect');
  });

  test('a connection that breaks off while its token is checked takes no place', async () => {
    const [asked, checked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const verify = async (token: string) => {
      asked.resolve();
      await checked.promise;
      return tokens.verify(token);
    };
    await restart({ server: { limits: { perUser: 1 }, tokens: { ...tokens, verify } } });
    const userId = newUser();
    const hasty = stage.open({ token: await tokenOf(userId) });
    await asked.promise;
    const [connection] = Object.values(
      (stage.node.server.io.engine as unknown as { clients: Record<string, never> }).clients,
    );
    const gone = nextEvent(connection as never, 'close');
    hasty.socket.disconnect();
    await gone;
    checked.resolve();
    await stage.connect(userId);
  });
});

describe('connections from one address', () => {
  const from = (address: string) => knock(stage.node.url, 'polling', { 'X-Forwarded-For': address });

  test('are so many and no more, by the address that trusted proxies tell', async () => {
    await restart({ server: { limits: { perAddress: 2 }, trustProxy: 1 } });
    const statuses = [];
    for (const address of ['1.2.3.4', '9.9.9.9, 1.2.3.4', '1.2.3.4', '5.6.7.8']) statuses.push(await from(address));
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 403, 200]);
    expect(statuses[2]?.text).toContain('too_many_connections');
  });

  test('count together where no proxy is trusted, whatever they claim', async () => {
    await restart({ server: { limits: { perAddress: 2 } } });
    const statuses = [];
    for (const address of ['1.1.1.1', '2.2.2.2', '3.3.3.3']) statuses.push((await from(address)).status);
    expect(statuses).toEqual([200, 200, 403]);
  });

  test('count together for one IPv6 customer', async () => {
    await restart({ server: { limits: { perAddress: 1 }, trustProxy: 'loopback' } });
    expect((await from('2001:db8:0:1::1')).status).toBe(200);
    expect((await from('2001:db8:0:2::1')).status).toBe(403);
    expect((await from('2001:db8:1::1')).status).toBe(200);
  });

  test('are no more than allowed also where they come at once', async () => {
    await restart({ server: { limits: { perAddress: 3 } } });
    // On one TCP connection they are all looked at before any of them is a connection.
    await knockAtOnce(stage.node.url, 20);
    expect(stage.node.server.io.engine.clientsCount).toBe(3);
  });
});
