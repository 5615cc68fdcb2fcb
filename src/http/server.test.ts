import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Router } from 'express';
import { listen, startApi, urlOf, type TestApi } from '../../test/support/api.js';
import { createInternalApp, createProbeApp } from './internal-app.js';

let api: TestApi;
let pageDirectory: string;

beforeAll(async () => {
  pageDirectory = await mkdtemp(path.join(tmpdir(), 'synap-page-'));
  await writeFile(path.join(pageDirectory, 'index.html'), '<!doctype html><title>Synap</title>');
  await writeFile(path.join(pageDirectory, 'main.js'), 'export {};');
  const router = Router();
  router.get('/hello', (_req, res) => void res.send('hello'));
  api = await startApi({ deps: { pageDirectory, mounts: [{ path: '/admin', router }] } });
});
afterAll(async () => {
  await api.close();
  await rm(pageDirectory, { recursive: true });
});

const bodyOf = async (response: Response) => (await response.json()) as Record<string, unknown>;

describe('headers', () => {
  test.each(['/', '/v1/notes', '/health', '/nowhere'])('%s has the headers of security', async (to) => {
    const { headers } = await api.call(to);
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'x-xss-protection': '0',
      'referrer-policy': 'strict-origin-when-cross-origin',
      'permissions-policy': expect.stringContaining('camera=()'),
      'content-security-policy': expect.stringContaining("script-src 'self'"),
    });
    expect(headers.get('content-security-policy')).not.toMatch(/unsafe|\*/);
    expect(headers.has('x-powered-by')).toBe(false);
    expect(headers.has('strict-transport-security')).toBe(false);
  });

  test('HSTS is there in production', async () => {
    const env = { NODE_ENV: 'production' };
    const production = await startApi({ databaseUrl: api.deps.config.database.url ?? '', env });
    try {
      expect((await production.call('/health')).headers.get('strict-transport-security')).toMatch(/max-age=31536000/);
    } finally {
      await production.close();
    }
  });

  test('answers of the API are not cached', async () => {
    expect((await api.call('/v1/notes', { user: 'ada' })).headers.get('cache-control')).toBe('no-store');
    expect((await api.call('/v1/notes')).headers.get('cache-control')).toBe('no-store');
  });
});

describe('CORS', () => {
  const preflight = (origin: string) =>
    api.call('/v1/events', {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,idempotency-key',
      },
    });

  test('an allowed origin may call with credentials', async () => {
    const { status, headers } = await preflight('http://localhost:5173');
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    expect(headers.get('access-control-allow-credentials')).toBe('true');
    expect(headers.get('access-control-allow-methods')).toBe('GET, POST, PUT, DELETE');
    for (const name of ['Content-Type', 'Authorization', 'X-API-Key', 'Idempotency-Key', 'X-Request-ID']) {
      expect(headers.get('access-control-allow-headers')).toContain(name);
    }
    const answer = await api.call('/v1/notes', { headers: { Origin: 'http://localhost:5173' } });
    expect(answer.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    for (const header of ['Retry-After', 'Content-Disposition', 'ETag'])
      expect(answer.headers.get('access-control-expose-headers')).toContain(header);
  });

  test.each(['http://evil.example', 'http://localhost:5173.evil.example', 'null'])(
    '%s gets nothing',
    async (origin) => {
      const { headers } = await preflight(origin);
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
      expect(headers.get('vary')).toBe('Origin');
    },
  );
});

describe('probes', () => {
  test('/health, /live and /ready have the documented shapes', async () => {
    expect(await bodyOf(await api.call('/health'))).toEqual({
      status: 'ok',
      timestamp: expect.any(String),
      uptime: expect.any(Number),
      version: '0.0.0-test',
    });
    expect(await bodyOf(await api.call('/live'))).toEqual({ status: 'alive', alive: true });
    expect(await bodyOf(await api.call('/ready'))).toEqual({ status: 'ok', checks: {} });
  });

  test('/ready is 200 while degraded and 503 when something needed has failed, and says no more than names', async () => {
    const own = await startApi({ databaseUrl: api.deps.config.database.url ?? '' });
    try {
      own.deps.health.add({ name: 'redis', run: () => 'degraded' });
      const degraded = await own.call('/ready');
      expect([degraded.status, await bodyOf(degraded)]).toEqual([
        200,
        { status: 'degraded', checks: { redis: 'degraded' } },
      ]);
      own.deps.health.add({ name: 'database', run: () => Promise.reject(new Error('10.0.0.7 refused')) });
      const failed = await own.call('/ready');
      expect([failed.status, await bodyOf(failed)]).toEqual([
        503,
        { status: 'failed', checks: { redis: 'degraded', database: 'failed' } },
      ]);
    } finally {
      await own.close();
    }
  });

  test('a process that drains is not ready and lets its clients go', async () => {
    const own = await startApi({ databaseUrl: api.deps.config.database.url ?? '' });
    try {
      const stopping = own.deps.lifecycle.stop(1_000);
      const response = await own.call('/ready');
      expect([response.status, await bodyOf(response)]).toMatchObject([503, { status: 'draining' }]);
      expect((await own.call('/v1/notes', { user: 'ada' })).headers.get('connection')).toBe('close');
      await stopping;
    } finally {
      await own.close();
    }
  });
});

describe('the page', () => {
  test('is served with revalidation and is no part of the limits or the log', async () => {
    const first = await api.call('/');
    expect([first.status, await first.text()]).toEqual([200, expect.stringContaining('<title>Synap</title>')]);
    expect(first.headers.has('ratelimit')).toBe(false);
    const again = await api.call('/', {
      headers: {
        'If-None-Match': first.headers.get('etag') ?? '',
        'X-Request-ID': 'page-again',
        'Cache-Control': 'max-age=0',
      },
    });
    expect(again.status).toBe(304);
    expect((await api.call('/main.js')).headers.get('content-type')).toMatch('text/javascript');
    expect(api.logs.items.some(({ httpRequestId }) => httpRequestId === 'page-again')).toBe(false);
  });

  test('does not reach out of its directory', async () => {
    const outside = await api.call('/..%2f..%2fetc%2fpasswd');
    expect([outside.status, await bodyOf(outside)]).toMatchObject([404, { code: 'not_found' }]);
  });
});

describe('the examples', () => {
  const examplesDirectory = () => mkdtemp(path.join(tmpdir(), 'synap-examples-'));

  test('are served under their path, with the page’s policy and no part of the limits', async () => {
    const directory = await examplesDirectory();
    await writeFile(path.join(directory, 'index.html'), '<!doctype html><title>Examples</title>');
    const own = await startApi({ deps: { examplesDirectory: directory } });
    const answer = await own.call('/examples/');
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('<title>Examples</title>')]);
    expect(answer.headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(answer.headers.has('ratelimit')).toBe(false);
    await own.close();
    await rm(directory, { recursive: true });
  });

  test('are not found where they are not given', async () => {
    expect((await api.call('/examples/')).status).toBe(404);
  });
});

describe('the log', () => {
  test('has one line per call with its ids, its user and its route', async () => {
    const json = { type: 'note.creation.requested', requestId: 'op-7', data: { title: 't', content: 'c' } };
    await api.call('/v1/events?token=hidden', { user: 'ada', json, headers: { 'X-Request-ID': 'call-7' } });
    const line = await api.logs.first(
      ({ httpRequestId, status }) => httpRequestId === 'call-7' && status !== undefined,
      'the line',
    );
    expect(line).toMatchObject({
      msg: 'POST /v1/events 202',
      userId: 'ada',
      requestId: 'op-7',
      route: '/v1/events',
      method: 'POST',
      status: 202,
      durationMs: expect.any(Number),
    });
    expect(JSON.stringify(api.logs.items)).not.toMatch(/hidden|Bearer/);
    expect(api.logs.items.filter(({ httpRequestId }) => httpRequestId === 'call-7')).toHaveLength(1);
  });

  test('does not mention probes', async () => {
    await api.call('/health', { headers: { 'X-Request-ID': 'probe-1' } });
    await api.call('/nowhere', { headers: { 'X-Request-ID': 'after-probe' } });
    await api.logs.first(({ httpRequestId }) => httpRequestId === 'after-probe', 'the later line');
    expect(api.logs.items.some(({ httpRequestId }) => httpRequestId === 'probe-1')).toBe(false);
  });
});

describe('metrics', () => {
  test('are labelled with the pattern of the route, never with the URL', async () => {
    await api.call('/v1/requests/some-id-of-mine', { user: 'ada' });
    await api.call('/some/unknown/path');
    await api.call('/admin/hello');
    const text = await api.deps.metrics.registry.metrics();
    expect(text).toMatch(/http_requests_total\{method="GET",route="\/v1\/requests\/:requestId",status_code="404"\} 1/);
    expect(text).toMatch(/http_requests_total\{method="GET",route="unmatched",status_code="404"\}/);
    expect(text).toMatch(/http_requests_total\{method="GET",route="\/admin",status_code="200"\} 1/);
    expect(text).not.toMatch(/some-id-of-mine|unknown\/path/);
  });

  test('are served on the internal port only', async () => {
    expect((await api.call('/metrics')).status).toBe(404);
    const servers = await Promise.all([listen(createInternalApp(api.deps)), listen(createProbeApp(api.deps))]);
    try {
      const [internal = '', probe = ''] = servers.map(urlOf);
      const metrics = await fetch(`${internal}/metrics`);
      expect(metrics.headers.get('content-type')).toMatch('text/plain; version=0.0.4');
      expect(await metrics.text()).toContain('synap_http_requests_total');
      expect(await bodyOf(await fetch(`${internal}/live`))).toEqual({ status: 'alive', alive: true });
      expect((await fetch(`${probe}/metrics`)).status).toBe(404);
      expect((await fetch(`${probe}/ready`)).status).toBe(200);
    } finally {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    }
  });
});
