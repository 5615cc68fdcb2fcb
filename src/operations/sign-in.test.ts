import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { MemoryStore } from 'express-rate-limit';
import { operator, signIn, startOperations, type Operations } from '../../test/support/operations.js';
import { createTokens } from '../platform/tokens.js';
import { createSessions, sessionSeconds } from './session.js';

let own: Operations;
const attempts = new MemoryStore();

beforeAll(async () => {
  own = await startOperations('redis', { attempts });
});

beforeEach(async () => {
  await attempts.resetAll();
  await own.testDatabase.pool.query('TRUNCATE audit_log');
});

afterAll(() => own.close());

const page = { Accept: 'text/html,application/xhtml+xml' };
const look = (path: string, headers: Record<string, string> = {}) =>
  own.api.call(path, { headers, redirect: 'manual' });

async function acts(): Promise<string[]> {
  const { rows } = await own.testDatabase.pool.query<{ actor: string; action: string }>(
    `SELECT actor, action FROM audit_log ORDER BY at`,
  );
  return rows.map(({ actor, action }) => `${actor} ${action}`);
}

describe('without a session', () => {
  test('a browser is sent to sign in, and comes back to where it wanted to go', async () => {
    const wanted = '/admin/queues/queue/note.creation.requested?status=failed';
    const answer = await look(wanted, page);
    expect(answer.status).toBe(303);
    expect(answer.headers.get('location')).toBe(`/admin/sign-in?next=${encodeURIComponent(wanted)}`);
    const form = await (await look(answer.headers.get('location') ?? '', page)).text();
    expect(form).toContain('value="/admin/queues/queue/note.creation.requested?status=failed"');
  });

  test.each([
    ['GET', '/admin/queues/api/queues'],
    ['GET', '/admin/queues/api/redis/stats'],
    ['PUT', '/admin/queues/api/queues/pause'],
    ['PUT', '/admin/queues/api/queues/note.creation.requested/x/retry'],
    ['POST', '/admin/queues/api/queues/note.creation.requested/add'],
    ['GET', '/admin/no-such-page'],
  ])('%s %s is 401', async (method, path) => {
    const answer = await own.api.call(path, { method, headers: { Accept: 'application/json' } });
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ code: 'unauthenticated' });
  });

  test("a user's token is no session, not even one for a user of the operator's name", async () => {
    const token = await createTokens('a secret of the tests').mint(operator.name, { expiresInSeconds: 60 });
    expect((await look('/admin/queues/api/queues', { Cookie: `synap_operator=${token}` })).status).toBe(401);
  });
});

describe('signing in', () => {
  test('gives a cookie that scripts cannot read and no other site can send, and opens the board', async () => {
    const { response, cookie } = await signIn(own.api);
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe('/admin/queues');
    const attributes = (response.headers.get('set-cookie') ?? '').split('; ').slice(1);
    expect(attributes).toEqual(expect.arrayContaining(['Max-Age=28800', 'Path=/admin', 'HttpOnly', 'SameSite=Strict']));
    expect((await look('/admin/queues', { Cookie: cookie, ...page })).status).toBe(200);
    expect((await look('/admin/queues/api/queues', { Cookie: cookie })).status).toBe(200);
    expect(await acts()).toEqual(['olga operator.signed_in']);
  });

  test.each([
    ['the password', { name: operator.name, password: 'wrong horse' }],
    ['the name', { name: 'mallory', password: operator.password }],
  ])('with %s wrong is refused without saying which, and noted', async (_what, sent) => {
    const { response, cookie } = await signIn(own.api, sent);
    expect(response.status).toBe(401);
    expect(await response.text()).toContain('The name or the password is wrong.');
    expect(cookie).toBe('');
    expect(await acts()).toEqual([`${sent.name} operator.sign_in_failed`]);
  });

  test('fails five times a minute and no more, even with the right password', async () => {
    for (let attempt = 0; attempt < 5; attempt++) await signIn(own.api, { name: operator.name, password: 'guess' });
    expect((await signIn(own.api)).response.status).toBe(429);
    expect(await acts()).toHaveLength(5);
  });

  test('with success does not use up the attempts', async () => {
    for (let attempt = 0; attempt < 7; attempt++) expect((await signIn(own.api)).response.status).toBe(303);
  });

  test.each([
    'https://evil.example/admin/queues',
    '//evil.example',
    '/admin/queues/../../x',
    '/elsewhere',
    '/admin/queuesx',
  ])('never leads to %s', async (next) => {
    const body = new URLSearchParams({ ...operator, next });
    const answer = await own.api.call('/admin/sign-in', { method: 'POST', redirect: 'manual', body });
    expect(answer.headers.get('location')).toBe('/admin/queues');
  });

  test.each<[string, Record<string, string>]>([
    ['another origin', { Origin: 'https://evil.example' }],
    ['no origin that could be named', { Origin: 'null' }],
    ['a sibling subdomain', { 'Sec-Fetch-Site': 'same-site' }],
    ['another site', { 'Sec-Fetch-Site': 'cross-site' }],
  ])('from %s is refused', async (_name, headers) => {
    const answer = await own.api.call('/admin/sign-in', {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams(operator),
      headers,
    });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  test('shows what was typed as text', async () => {
    const { response } = await signIn(own.api, { name: '"><script>alert(1)</script>', password: 'x' });
    expect(await response.text()).not.toContain('<script>');
  });
});

test('a press of a button from another site is refused, whatever cookie comes with it', async () => {
  const { cookie } = await signIn(own.api);
  const headers = { Cookie: cookie, Origin: 'https://evil.example' };
  expect((await own.api.call('/admin/queues/api/queues/pause', { method: 'PUT', headers })).status).toBe(403);
  expect((await own.testDatabase.pool.query('SELECT FROM queue_settings')).rowCount).toBe(0);
});

test('signing out takes the cookie away, is noted, and needs more than a link', async () => {
  const { cookie } = await signIn(own.api);
  const asked = await look('/admin/sign-out', { Cookie: cookie, ...page });
  expect(await asked.text()).toContain('<form method="post" action="/admin/sign-out">');
  expect(asked.headers.get('set-cookie')).toBeNull();
  const answer = await own.api.call('/admin/sign-out', {
    method: 'POST',
    redirect: 'manual',
    headers: { Cookie: cookie, Origin: own.api.url },
  });
  expect(answer.headers.get('set-cookie')).toMatch(/^synap_operator=; Path=\/admin; Expires=Thu, 01 Jan 1970/);
  expect(await acts()).toEqual(['olga operator.signed_in', 'olga operator.signed_out']);
});

test('pages and board send a policy that runs no inline script and loads nothing from elsewhere', async () => {
  const { cookie } = await signIn(own.api);
  const ofPage = (await look('/admin/sign-in', page)).headers;
  const board = await look('/admin/queues', { Cookie: cookie, ...page });
  expect(ofPage.get('content-security-policy')).toBe(
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; style-src 'self'; img-src 'self' data:",
  );
  expect(board.headers.get('content-security-policy')).toContain("script-src 'self';");
  expect(board.headers.get('cache-control')).toBe('no-store');
  expect(await board.text()).not.toMatch(/(?:src|href)="https?:/);
});

test('in production the cookie is for TLS alone', async () => {
  const production = await startOperations('redis', { isProduction: true });
  try {
    expect((await signIn(production.api)).response.headers.get('set-cookie')).toContain('; Secure');
  } finally {
    await production.close();
  }
});

test('without a password the board is closed and says which variable opens it', async () => {
  const closed = await startOperations('redis', { operator: { name: 'olga', password: undefined } });
  try {
    for (const path of ['/admin/queues', '/admin/sign-in', '/admin/queues/api/queues']) {
      const answer = await closed.api.call(path);
      expect(answer.status).toBe(503);
      expect(await answer.text()).toContain('OPERATOR_PASSWORD');
    }
    expect((await signIn(closed.api)).cookie).toBe('');
  } finally {
    await closed.close();
  }
});

describe('a session', () => {
  const at = (ms: number) => () => ms;
  const start = 1_800_000_000_000;

  test('ends after eight hours', async () => {
    const session = await createSessions('s', operator, at(start)).issue();
    const readAt = (ms: number) => createSessions('s', operator, at(ms)).read(session);
    expect(await readAt(start + sessionSeconds * 1_000 - 1_000)).toBe('olga');
    expect(await readAt(start + sessionSeconds * 1_000 + 1_000)).toBeUndefined();
  });

  test.each([
    ['the password', 's', { ...operator, password: 'another password' }],
    ['the secret', 'another', operator],
    ['the name', 's', { ...operator, name: 'otto' }],
  ])('ends when %s changes', async (_what, secret, credentials) => {
    const session = await createSessions('s', operator, at(start)).issue();
    expect(await createSessions(secret, credentials, at(start)).read(session)).toBeUndefined();
  });

  test('that was altered is none', async () => {
    const sessions = createSessions('s', operator, at(start));
    const [header, , signature] = (await sessions.issue()).split('.');
    const forged = Buffer.from(JSON.stringify({ sub: 'olga', aud: 'synap-operator', exp: 9_999_999_999 })).toString(
      'base64url',
    );
    expect(await sessions.read(`${header}.${forged}.${signature}`)).toBeUndefined();
    expect(await sessions.read('nonsense')).toBeUndefined();
  });
});
