import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { z } from 'zod';
import { startApi, type TestApi } from '../../test/support/api.js';
import { subscribeRequest, wireDelta, wireNotification, wireProgress } from '../realtime/contract.js';

interface Message {
  readonly name: string;
  readonly payload: { readonly $ref?: string };
  readonly examples?: readonly { readonly payload: unknown }[];
}

interface Document {
  readonly channels: Readonly<Record<string, { readonly messages: Readonly<Record<string, Message>> }>>;
  readonly operations: Readonly<
    Record<string, { readonly action: string; readonly reply?: { messages: { $ref: string }[] } }>
  >;
  readonly components: { readonly schemas: Readonly<Record<string, { properties?: object; required?: string[] }>> };
}

let api: TestApi;
let document: Document;
beforeAll(async () => {
  api = await startApi();
  document = (await (await api.call('/asyncapi.json')).json()) as Document;
});
afterAll(() => api.close());

/** In a process of its own: the parser is CommonJS all the way down, which Jest's modules do not load. */
async function linted(given: object): Promise<{ isValid: boolean; found: string[] }> {
  const running = promisify(execFile)(process.execPath, ['test/support/lint-asyncapi.js']);
  running.child.stdin?.end(JSON.stringify(given));
  return JSON.parse((await running).stdout) as { isValid: boolean; found: string[] };
}

test('the document is valid AsyncAPI 3, without errors or warnings', async () => {
  expect(await linted(document)).toEqual({ isValid: true, found: [] });
}, 60_000);

type Servers = Readonly<Record<'socket' | 'stream', { readonly host: string; readonly protocol: string }>>;

/** By Node's own client: `fetch` takes no Host of the caller's. */
async function askedAs(headers: Record<string, string>, { url } = api): Promise<string[]> {
  const asking = get(`${url}/asyncapi.json`, { headers });
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  const { servers } = (await json(answer)) as { servers: Servers };
  return Object.values(servers).map(({ host, protocol }) => `${protocol}://${host}`);
}

describe('its servers', () => {
  test('are where the client has asked', async () => {
    const { host } = new URL(api.url);
    expect(await askedAs({})).toEqual([`ws://${host}`, `http://${host}`]);
    const forwarded = { 'X-Forwarded-Host': 'elsewhere.example', 'X-Forwarded-Proto': 'https' };
    expect(await askedAs({ Host: 'synap.example:8080', ...forwarded })).toEqual([
      'ws://synap.example:8080',
      'http://synap.example:8080',
    ]);
    expect(await askedAs({ Host: '[::1]:3000' })).toEqual(['ws://[::1]:3000', 'http://[::1]:3000']);
  });

  test('are where a trusted proxy was asked, and the document is valid there too', async () => {
    const behind = await startApi({ env: { TRUST_PROXY: '1' } });
    try {
      const headers = { 'X-Forwarded-Host': 'synap.example', 'X-Forwarded-Proto': 'https' };
      expect(await askedAs(headers, behind)).toEqual(['wss://synap.example', 'https://synap.example']);
      const given = (await (await behind.call('/asyncapi.json', { headers })).json()) as object;
      expect(await linted(given)).toEqual({ isValid: true, found: [] });
    } finally {
      await behind.close();
    }
  }, 60_000);

  test('are nothing that a client has made up', async () => {
    const { port } = new URL(api.url);
    expect(await askedAs({ Host: 'a/../b?<script>' })).toEqual([`ws://localhost:${port}`, `http://localhost:${port}`]);
  });
});

test('the linter would find an operation without its message', async () => {
  const broken = structuredClone(document) as { channels: Record<string, { messages: Record<string, unknown> }> };
  delete broken.channels['socket']?.messages['subscribe'];
  expect((await linted(broken)).isValid).toBe(false);
}, 60_000);

/** The members of an interface, as the source has them: types are gone when a test runs. */
function membersOf(name: string): string[] {
  const source = readFileSync('src/realtime/contract.ts', 'utf8');
  const [, body = ''] = new RegExp(`^export interface ${name} \\{$([\\s\\S]*?)^\\}$`, 'm').exec(source) ?? [];
  return [...body.matchAll(/^ {2}(\w+)[(:]/gm)].map(([, member = '']) => member);
}

test('every event of the contract is in it, with its acknowledgement', () => {
  const [said, heard, streamed] = ['ClientToServerEvents', 'ServerToClientEvents', 'StreamEvents'].map(membersOf);
  expect([said?.length, heard?.length, streamed?.length].every((count = 0) => count >= 5)).toBe(true);
  const socket = Object.keys(document.channels['socket']?.messages ?? {});
  expect(socket.toSorted()).toEqual([...(said ?? []), ...(heard ?? [])].toSorted());
  expect(Object.keys(document.channels['stream']?.messages ?? {}).toSorted()).toEqual(streamed?.toSorted());
  for (const event of said ?? []) {
    expect(document.operations[event]?.action).toBe('receive');
    expect(document.operations[event]?.reply?.messages).not.toHaveLength(0);
  }
});

test('its schemas are those of the contract', () => {
  const { schemas } = document.components;
  expect(Object.keys(schemas['Notification']?.properties ?? {})).toEqual(Object.keys(wireNotification.shape));
  expect(Object.keys(schemas['Subscribe']?.properties ?? {})).toEqual(Object.keys(subscribeRequest.shape));
  expect(schemas['Delta']?.required).toEqual(['room', 'requestId', 'eventId', 'attempt', 'offset', 'text']);
  const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name = '']) => name,
  );
  expect(references.filter((name) => !(name in schemas))).toEqual([]);
});

test('its examples are what the server would take', () => {
  const checks: Record<string, z.ZodType> = {
    notification: wireNotification,
    progress: wireProgress,
    delta: wireDelta,
    subscribe: subscribeRequest,
  };
  const { messages = {} } = document.channels['socket'] ?? {};
  for (const [name, schema] of Object.entries(checks)) {
    const examples = messages[name]?.examples ?? [];
    expect(examples).not.toHaveLength(0);
    for (const { payload } of examples) expect(schema.safeParse(payload).error).toBeUndefined();
  }
});
