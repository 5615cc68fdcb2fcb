import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { io, type Socket } from 'socket.io-client';
import type { WireDelta, WireNotification } from '../../src/realtime/contract.js';
import { Collected, eventually, within } from '../support/signals.js';
import { startStack, type Stack, type StackMode } from '../support/stack.js';
import { testApiKey } from '../support/synap.js';

describe.each<StackMode>(['single node', 'many processes'])('a whole Synap (%s)', (mode) => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack(mode);
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  /** A plain client on the replica that the request does not go through. */
  async function connect(userId: string, replica: 0 | 1 = 1) {
    const socket = io(stack.realtimeUrls[replica], {
      auth: { token: await stack.token(userId) },
      transports: ['websocket'],
      forceNew: true,
    });
    const notifications = new Collected<WireNotification>();
    const deltas = new Collected<WireDelta>();
    socket.on('notification', notifications.add);
    socket.on('delta', deltas.add);
    await within(
      new Promise<void>((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject)),
      'the connection',
    );
    return { socket, notifications, deltas };
  }

  const subscribe = (socket: Socket, room: string) =>
    within(socket.emitWithAck('subscribe', { room }) as Promise<{ ok: boolean }>, 'the acknowledgement');

  async function call(userId: string, method: string, path: string, body?: unknown) {
    const response = await fetch(stack.apiUrl + path, {
      method,
      headers: { Authorization: `Bearer ${await stack.token(userId)}`, 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  /** Subscribes to the request's room first, as a page does, then posts; answers what comes to that room in the end. */
  async function request(
    userId: string,
    type: string,
    data: unknown,
    ending = /(completed|processed|generated|failed)$/,
  ) {
    const client = await connect(userId);
    const requestId = randomUUID();
    await subscribe(client.socket, `request_${requestId}`);
    const { status, body } = await call(userId, 'POST', '/v1/events', { type, data, requestId });
    expect(status).toBe(202);
    const room = `request_${requestId}`;
    const end = await client.notifications.first(
      (one) => one.room === room && ending.test(one.type),
      `the end of ${type}`,
    );
    client.socket.close();
    return { accepted: body as Record<string, string>, end, data: end.data as Record<string, string>, client };
  }

  test('creates a note, and its story, file and reads are there', async () => {
    const { accepted, end, data } = await request('ada', 'note.creation.requested', {
      title: 'Engines',
      content: 'All about engines.',
      tags: ['a'],
    });
    expect(end).toMatchObject({ type: 'note.creation.completed', status: 'success', requestId: accepted['requestId'] });
    expect(data).toMatchObject({
      entityId: accepted['aggregateId'],
      title: 'Engines',
      tags: ['a'],
      fileUrl: expect.stringMatching(/^\/v1\/files\//),
    });
    const story = await call('ada', 'GET', `/v1/events?correlationId=${accepted['correlationId']}`);
    const events = (story.body['items'] as { type: string; causationId: string | null }[]).map(
      ({ type, causationId }) => [type, causationId],
    );
    const cause = accepted['eventId'];
    expect(events).toEqual([
      ['note.creation.requested', null],
      ['file.uploaded', cause],
      ['entity.created', cause],
      ['note.creation.completed', cause],
    ]);
    const file = await fetch(stack.apiUrl + data['fileUrl'], {
      headers: { Authorization: `Bearer ${await stack.token('ada')}` },
    });
    expect(await file.text()).toContain('All about engines.');
    expect(
      (
        await fetch(stack.apiUrl + data['fileUrl'], {
          headers: { Authorization: `Bearer ${await stack.token('eve')}` },
        })
      ).status,
    ).toBe(404);
    expect((await call('ada', 'GET', `/v1/requests/${accepted['requestId']}`)).body).toMatchObject({
      status: 'completed',
      attempts: 1,
    });
    expect((await call('eve', 'GET', `/v1/requests/${accepted['requestId']}`)).status).toBe(404);
    expect((await call('eve', 'GET', '/v1/notes')).body).toMatchObject({ items: [] });
  });

  test('creates a project and a task in it, and completes the task twice without harm', async () => {
    const project = await request('ada', 'project.creation.requested', { name: 'Analytical Engine' });
    expect(project.end.type).toBe('project.creation.completed');
    const task = await request('ada', 'task.creation.requested', {
      title: 'Write programs',
      projectId: project.accepted['aggregateId'],
    });
    expect(task.end.type).toBe('task.creation.completed');
    const taskId = task.accepted['aggregateId'];
    for (let times = 0; times < 2; times++) {
      const done = await request('ada', 'task.completion.requested', { taskId });
      expect(done.end).toMatchObject({ type: 'task.completion.processed', status: 'success' });
    }
    const stolen = await request('eve', 'task.completion.requested', { taskId });
    expect(stolen.end).toMatchObject({
      type: 'task.completion.failed',
      status: 'error',
      error: { code: 'task_not_found' },
    });
    expect((await call('eve', 'GET', `/v1/requests/${stolen.accepted['requestId']}`)).body).toMatchObject({
      status: 'failed',
      error: { code: 'task_not_found' },
    });
  });

  test('answers a message from what the user has, streaming, and the durable answer is the whole of it', async () => {
    await request('bob', 'note.creation.requested', { title: 'Sourdough', content: 'Feed the starter every morning.' });
    const { accepted, end, data, client } = await request('bob', 'conversation.message.sent', {
      content: 'When do I feed my sourdough starter?',
    });
    expect(end.type).toBe('conversation.response.generated');
    expect(data['response']).toContain('Sourdough');
    expect(client.deltas.items.map(({ text }) => text).join('')).toBe(data['response']);
    const messages = await call('bob', 'GET', `/v1/conversations/${accepted['aggregateId']}/messages`);
    expect((messages.body['items'] as { role: string }[]).map(({ role }) => role).toSorted()).toEqual([
      'assistant',
      'user',
    ]);
  });

  test('takes an upload and makes a note of it', async () => {
    const form = new FormData();
    form.set('file', new Blob(['# Plans\n\nBuy a kettle.'], { type: 'text/markdown' }), 'plans.md');
    const upload = await fetch(`${stack.apiUrl}/v1/files`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${await stack.token('ada')}` },
      body: form,
    });
    expect(upload.status).toBe(201);
    const file = (await upload.json()) as { id: string };
    const { end } = await request('ada', 'note.creation.requested', { title: 'Plans', fileId: file.id });
    expect(end).toMatchObject({
      type: 'note.creation.completed',
      data: { excerpt: expect.stringContaining('kettle') },
    });
    const stolen = await request('eve', 'note.creation.requested', { title: 'Plans', fileId: file.id });
    expect(stolen.end).toMatchObject({ type: 'note.creation.failed', error: { code: 'file_not_found' } });
  });

  test('numbers the notifications of a room without a gap, in the order in which they arrive, on every replica', async () => {
    const clients = [await connect('gap', 0), await connect('gap', 1)];
    const bodies = Array.from({ length: 50 }, (_, n) => ({
      type: 'project.creation.requested',
      data: { name: `Project ${n}` },
    }));
    const { body } = await call('gap', 'POST', '/v1/events/batch', { events: bodies });
    expect((body['items'] as { status: number }[]).map(({ status }) => status)).toEqual(
      Array.from({ length: 50 }, () => 202),
    );
    for (const { notifications, socket } of clients) {
      const seen = await notifications.count(50, 'notifications');
      expect(seen.map(({ seq }) => seq)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
      socket.close();
    }
  });

  test('keeps the same request id of two users apart, also for an early subscriber', async () => {
    const [ada, eve] = [await connect('ada2'), await connect('eve2')];
    const requestId = `same-${mode === 'single node' ? 1 : 2}`;
    for (const { socket } of [ada, eve])
      expect(await subscribe(socket, `request_${requestId}`)).toMatchObject({ ok: true });
    expect(await subscribe(eve.socket, 'user_ada2')).toMatchObject({ ok: false, code: 'forbidden' });
    await call('ada2', 'POST', '/v1/events', { type: 'project.creation.requested', data: { name: 'Mine' }, requestId });
    await ada.notifications.first(({ room }) => room === `request_${requestId}`, "ada's notification");
    await call('eve2', 'POST', '/v1/events', { type: 'project.creation.requested', data: { name: 'Hers' }, requestId });
    const hers = await eve.notifications.first(({ room }) => room === `request_${requestId}`, "eve's notification");
    expect(hers).toMatchObject({ seq: 1, data: { name: 'Hers' } });
    expect(eve.notifications.items.every(({ data }) => JSON.stringify(data).includes('Hers'))).toBe(true);
    ada.socket.close();
    eve.socket.close();
  });

  test('lets a service broadcast to a room, stored and numbered like any notification', async () => {
    const { socket, notifications } = await connect('carol');
    // Presence is said right behind the connection, not before it; with the device, its rooms are.
    await eventually(async () => {
      const { devices } = (await call('carol', 'GET', '/v1/presence')).body;
      return (devices as unknown[]).length > 0 || undefined;
    }, 'presence to know of it');
    const broadcast = (apiKey: string, body: unknown) =>
      fetch(`${stack.apiUrl}/rooms/user_carol/broadcast`, {
        method: 'POST',
        headers: { 'X-API-Key': apiKey, 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      });
    const answer = await broadcast(testApiKey, { type: 'invoice.paid', status: 'success', data: { amount: 12 } });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ success: true, broadcastCount: 1 });
    expect(await notifications.first(({ type }) => type === 'invoice.paid', 'the broadcast')).toMatchObject({
      room: 'user_carol',
      seq: 1,
      data: { amount: 12 },
    });
    expect((await broadcast('wrong', { type: 'invoice.paid', status: 'success', data: {} })).status).toBe(401);
    socket.close();
  });

  test.each([
    ['no token', undefined, 'unauthenticated'],
    ['a bad token', 'nonsense', 'token_invalid'],
  ])('refuses a socket with %s by a stable code', async (_what, token, code) => {
    const socket = io(stack.realtimeUrls[0], {
      auth: token === undefined ? {} : { token },
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
    });
    const error = await within(
      new Promise<Error & { data?: { code: string } }>((resolve) => socket.on('connect_error', resolve)),
      'the refusal',
    );
    expect(error.data?.code).toBe(code);
    socket.close();
  });

  test('serves metrics on the internal port and not on the public one', async () => {
    for (const process of stack.processes) {
      expect(await (await fetch(`${process.metricsUrl}/metrics`)).text()).toContain(
        'synap_process_cpu_user_seconds_total',
      );
    }
    expect((await fetch(`${stack.apiUrl}/metrics`)).status).toBe(404);
  });
});
