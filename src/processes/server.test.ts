import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from '@jest/globals';
import { listen, type ListeningServer } from './server.js';

let server: ListeningServer;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
afterEach(async () => {
  agent.destroy();
  await server.close();
});

async function ask(): Promise<IncomingMessage> {
  const [response] = (await once(get({ port: server.port, agent }), 'response')) as [IncomingMessage];
  return response;
}

test('who asks while the process starts is answered when it has', async () => {
  server = await listen(0, '127.0.0.1');
  const early = ask();
  await once(server.server, 'request');
  server.serve((_req, res) => res.end('ready'));
  expect(await text(await early)).toBe('ready');
});

test('closing lets the last answer out and then ends its connection, however busy', async () => {
  server = await listen(0, '127.0.0.1');
  const asked = Promise.withResolvers<() => void>();
  server.serve((_req, res) => asked.resolve(() => res.end('last')));
  const answer = ask();
  const finish = await asked.promise;
  const closed = server.close();
  finish();
  expect(await text(await answer)).toBe('last');
  await closed;
}, 2_000);
