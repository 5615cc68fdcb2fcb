import { once } from 'node:events';
import path from 'node:path';
import { io, type Socket } from 'socket.io-client';
import { endChild, hasEnded, startChild } from '../../test/faults/stack/child.ts';
import { freePort } from '../../test/support/ports.ts';
import { eventually, within } from '../../test/support/signals.ts';
import { built, root } from '../built.ts';

const { createTokens } = await built('platform/tokens');

const jwtSecret = 'a secret that only the benchmark knows: 0123456789';
const userId = 'ada';
const lateMs = 60_000;

/** Each in ms since the command was given. */
export interface CommandStart {
  readonly readyMs: number;
  readonly notifiedMs: number;
}

/**
 * bin/start with nothing but a folder for its data, and a client that connects as soon as anybody answers, subscribes, posts and
 * waits for what its page would show.
 */
export async function startWithOneCommand(directory: string): Promise<CommandStart> {
  const port = await freePort();
  const token = await createTokens(jwtSecret).mint(userId, { expiresInSeconds: 600 });
  const beganAt = performance.now();
  const child = await startChild(path.join(root, 'bin/start'), [], {
    env: {
      PATH: process.env['PATH'] ?? '',
      SYNAP_DIR: directory,
      PORT: String(port),
      JWT_SECRET: jwtSecret,
      PINO_PRETTY: 'false',
    },
    stdio: 'ignore',
  });
  const socket = io(`http://127.0.0.1:${port}`, {
    auth: { token },
    transports: ['websocket'],
    reconnectionDelay: 20,
    reconnectionDelayMax: 20,
  });
  try {
    const notified = notifiedOf(socket, `http://127.0.0.1:${port}`, token);
    const ready = untilReady(`http://127.0.0.1:${port}`, () => hasEnded(child));
    const [readyAt, notifiedAt] = await within(Promise.all([ready, notified]), 'the first notification', lateMs);
    return { readyMs: readyAt - beganAt, notifiedMs: notifiedAt - beganAt };
  } finally {
    socket.disconnect();
    await endChild(child, 'SIGTERM', 20_000);
  }
}

async function untilReady(url: string, isGone: () => boolean): Promise<number> {
  await eventually(
    async () => {
      if (isGone()) throw new Error('bin/start ended');
      const response = await fetch(`${url}/ready`).catch(() => undefined);
      await response?.arrayBuffer();
      return response?.ok === true ? true : undefined;
    },
    'bin/start to be ready',
    lateMs,
  );
  return performance.now();
}

/** @returns when the first note's success was heard */
async function notifiedOf(socket: Socket, url: string, token: string): Promise<number> {
  const heard = Promise.withResolvers<number>();
  socket.on('notification', ({ type }: { type: string }) => {
    if (type === 'note.creation.completed') heard.resolve(performance.now());
  });
  await once(socket as never, 'connect');
  await socket.emitWithAck('subscribe', { room: `user_${userId}` });
  const response = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ type: 'note.creation.requested', data: { title: 'Hello', content: 'My first note.' } }),
  });
  if (response.status !== 202) throw new Error(`the first event was answered ${response.status}`);
  return heard.promise;
}
