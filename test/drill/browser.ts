import { randomUUID } from 'node:crypto';
import type { Socket } from 'socket.io-client';
import { launchBrowser } from '../support/chromium.ts';
import type { Access } from './client.ts';

/** What the served client library exports. */
interface ClientLibrary {
  io(options: object): Socket;
}

/** A page of the site in Chromium: connects with the served client library, posts, and waits for the notification. @returns ms */
export async function throughChromium({ url }: Access, token: string): Promise<{ ms: number; transport: string }> {
  const browser = await launchBrowser();
  try {
    // The authority is Caddy's own; that certificates are checked is shown by the other clients.
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    await page.goto(url);
    return await page.evaluate(inPage, { token, requestId: randomUUID() });
  } finally {
    await browser.close();
  }
}

async function inPage({
  token,
  requestId,
}: {
  token: string;
  requestId: string;
}): Promise<{ ms: number; transport: string }> {
  const library = '/socket.io/socket.io.esm.min.js';
  const { io } = (await import(library)) as ClientLibrary;
  const socket = io({ auth: { token } });
  await new Promise((resolve, reject) =>
    socket.once('connect', () => resolve(undefined)).once('connect_error', reject),
  );
  const startedAt = performance.now();
  const announced = new Promise((resolve) => {
    socket.on('notification', (notification: { requestId?: string; type: string }) => {
      if (notification.requestId === requestId && notification.type === 'note.creation.completed') resolve(undefined);
    });
  });
  const body = JSON.stringify({
    type: 'note.creation.requested',
    requestId,
    data: { title: 'From Chromium', content: 'Hello' },
  });
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` };
  const answer = await fetch('/v1/events', { method: 'POST', headers, body });
  if (answer.status !== 202) throw new Error(`POST /v1/events: ${answer.status}`);
  await announced;
  const result = { ms: Math.round(performance.now() - startedAt), transport: socket.io.engine.transport.name };
  socket.disconnect();
  return result;
}
