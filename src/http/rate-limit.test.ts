import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { startApi, type TestApi } from '../../test/support/api.js';
import { createRedisPrefix, redisUrl, startRedis } from '../../test/support/redis.js';
import { nextEvent, within } from '../../test/support/signals.js';
import { testApiKey } from '../../test/support/synap.js';
import type { Clock } from '../platform/clock.js';
import { connectRedis } from '../platform/redis.js';
import { LocalCounters } from './limits/counters.js';
import { SharedCounters } from './limits/shared-counters.js';

const silent = pino({ level: 'silent' });
const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;

/** A clock that a test moves by hand. Timers are real: nothing here waits for one. */
function handClock(): Clock & { advance(ms: number): void } {
  let now = 1_000_000;
  const after: Clock['after'] = (delayMs, fn) => {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  };
  return { now: () => now, after, advance: (ms) => (now += ms) };
}

describe('the limit of an address', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ env: { RATE_LIMIT_MAX: '5', TRUST_PROXY: '1' } });
  });
  afterAll(() => api.close());

  const from = (ip: string, path = '/v1/notes', headers: Record<string, string> = {}) =>
    api.call(path, { headers: { 'X-Forwarded-For': ip, ...headers } });

  test('refuses the call after the last with 429, Retry-After and the rate limit headers', async () => {
    for (let nth = 1; nth <= 5; nth++) {
      const allowed = await from('192.0.2.1');
      expect(allowed.status).toBe(401);
      expect(allowed.headers.get('ratelimit')).toMatch(new RegExp(`^"address"; r=${5 - nth}; t=\\d+$`));
      expect(allowed.headers.get('ratelimit-policy')).toMatch(/^"address"; q=5; w=60; pk=:/);
    }
    const refused = await from('192.0.2.1');
    expect([refused.status, await codeOf(refused)]).toEqual([429, 'rate_limited']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
    expect((await from('192.0.2.2')).status).toBe(401);
  });

  test('counts unknown routes and wrong methods too', async () => {
    for (let nth = 1; nth <= 5; nth++) await from('192.0.2.3', '/nowhere');
    expect((await from('192.0.2.3', '/nowhere')).status).toBe(429);
    for (let nth = 1; nth <= 5; nth++)
      await api.call('/v1/notes', { method: 'DELETE', headers: { 'X-Forwarded-For': '192.0.2.4' } });
    expect((await from('192.0.2.4')).status).toBe(429);
  });

  test('does not count probes', async () => {
    for (let nth = 1; nth <= 10; nth++) expect((await from('192.0.2.5', '/health')).status).toBe(200);
    expect((await from('192.0.2.5')).status).toBe(401);
  });

  test('counts a network of IPv6 as one', async () => {
    for (let nth = 1; nth <= 5; nth++) await from(`2001:db8::${nth}`);
    expect((await from('2001:db8::ffff')).status).toBe(429);
  });

  test('a service has ten times as much by its key; a made-up key does not help', async () => {
    const service = await from('192.0.2.6', '/v1/notes', { 'X-API-Key': testApiKey });
    expect(service.headers.get('ratelimit-policy')).toMatch(/^"service"; q=50; w=60/);
    for (let nth = 1; nth <= 5; nth++) await from('192.0.2.6', '/v1/notes', { 'X-API-Key': `guess ${nth}` });
    expect((await from('192.0.2.6', '/v1/notes', { 'X-API-Key': 'guess 6' })).status).toBe(429);
    expect((await from('192.0.2.6', '/v1/notes', { 'X-API-Key': testApiKey })).status).toBe(401);
  });

  test('bans who goes on at ten times the limit', async () => {
    for (let nth = 1; nth <= 49; nth++) await from('192.0.2.7');
    expect(Number((await from('192.0.2.7')).headers.get('retry-after'))).toBe(3_600);
  });
});

describe('the limit of an event type', () => {
  const message = (nth: number) => ({ type: 'conversation.message.sent', data: { content: `message ${nth}` } });
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api.close());

  test('counts events of one user, alone and inside batches, and refuses only what is over it', async () => {
    for (let nth = 1; nth <= 5; nth++) await api.call('/v1/events', { user: 'chatty', json: message(nth) });
    const note = { type: 'note.creation.requested', data: { title: 't', content: 'c' } };
    const events = [...Array.from({ length: 14 }, (_, nth) => message(nth)), note, message(15), message(16), note];
    const response = await api.call('/v1/events/batch', { user: 'chatty', json: { events } });
    const { items } = (await response.json()) as { items: { status: number; retryAfterSeconds?: number }[] };
    expect(items.map(({ status }) => status)).toEqual([...Array.from({ length: 16 }, () => 202), 429, 202]);
    expect(items[16]?.retryAfterSeconds).toBeGreaterThan(290);
    const alone = await api.call('/v1/events', { user: 'chatty', json: message(17) });
    expect([alone.status, await codeOf(alone)]).toEqual([429, 'rate_limited']);
    expect(Number(alone.headers.get('retry-after'))).toBeGreaterThan(290);
    expect((await api.call('/v1/events', { user: 'quiet', json: message(1) })).status).toBe(202);
    const stored = await api.deps.database.sql
      .selectFrom('events')
      .select('type')
      .where('userId', '=', 'chatty')
      .execute();
    expect(stored.filter(({ type }) => type === 'conversation.message.sent')).toHaveLength(20);
  });

  test('keeps the places of the others for their idempotency keys', async () => {
    const headers = { 'Idempotency-Key': 'batch' };
    const note = { type: 'note.creation.requested', data: { title: 't', content: 'c' } };
    const send = async (events: object[]) => {
      const response = await api.call('/v1/events/batch', { user: 'places', json: { events }, headers });
      return ((await response.json()) as { items: { status: number; eventId?: string }[] }).items;
    };
    const messages = Array.from({ length: 20 }, (_, nth) => message(nth));
    const first = await send([...messages, note]);
    const second = await send([...messages, note]);
    expect(second.map(({ status }) => status)).toEqual([...messages.map(() => 429), 202]);
    expect(second[20]?.eventId).toBe(first[20]?.eventId);
  });
});

describe('a window', () => {
  test("ends after its time, and a ban after the ban's, however many hits there are", () => {
    const clock = handClock();
    const counters = new LocalCounters(clock);
    const rule = { windowMs: 1_000, ban: { after: 3, forMs: 10_000 } };
    const hit = () => counters.hit('key', rule, 1);
    expect([hit().total, hit().total]).toEqual([1, 2]);
    clock.advance(1_000);
    expect(hit()).toEqual({ total: 1, endsAt: clock.now() + 1_000 });
    hit();
    const banned = hit().endsAt;
    expect(banned).toBe(clock.now() + 10_000);
    clock.advance(9_999);
    expect(hit().endsAt).toBe(banned);
    clock.advance(1);
    expect(hit().total).toBe(1);
  });
});

describe('counts shared through Redis', () => {
  const rule = { windowMs: 60_000, ban: { after: 100, forMs: 3_600_000 } };

  function replica(url: string, prefix: string) {
    const redis = connectRedis(url, 'test', silent);
    return {
      redis,
      counters: new SharedCounters({ redis, prefix, clock: { ...handClock(), now: Date.now }, logger: silent }),
    };
  }

  test('two processes count as one', async () => {
    const prefix = createRedisPrefix();
    const [a, b] = [replica(redisUrl(), prefix), replica(redisUrl(), prefix)];
    await Promise.all([nextEvent(a.redis, 'ready'), nextEvent(b.redis, 'ready')]);
    try {
      const totals: number[] = [];
      for (const { counters } of [a, b, a, b]) totals.push((await counters.hitEverywhere('key', rule, 1)).total);
      expect(totals).toEqual([1, 2, 3, 4]);
      const banned = await a.counters.hitEverywhere('key', rule, 100);
      expect(banned.total).toBe(104);
      expect((await b.counters.hitEverywhere('key', rule, 1)).endsAt).toBeGreaterThan(Date.now() + 3_500_000);
    } finally {
      a.redis.disconnect();
      b.redis.disconnect();
    }
  });

  test('hits that do not wait are sent, all of them', async () => {
    const prefix = createRedisPrefix();
    const [a, b] = [replica(redisUrl(), prefix), replica(redisUrl(), prefix)];
    await Promise.all([nextEvent(a.redis, 'ready'), nextEvent(b.redis, 'ready')]);
    try {
      for (let nth = 1; nth <= 50; nth++) expect(a.counters.hit('key', rule, 1).total).toBe(nth);
      // Sent on the same connection, so answered after all of them.
      let total = 0;
      do ({ total } = await a.counters.hitEverywhere('key', rule, 0));
      while (total < 50);
      expect((await b.counters.hitEverywhere('key', rule, 1)).total).toBe(51);
    } finally {
      a.redis.disconnect();
      b.redis.disconnect();
    }
  });

  test('a frozen or dead Redis holds nobody up: each process counts for itself', async () => {
    const server = await startRedis();
    const { redis, counters } = replica(server.url, createRedisPrefix());
    await nextEvent(redis, 'ready');
    try {
      expect((await counters.hitEverywhere('key', rule, 1)).total).toBe(1);
      process.kill(server.pid, 'SIGSTOP');
      expect(counters.hit('key', rule, 1).total).toBe(2);
      expect((await counters.hitEverywhere('key', rule, 1)).total).toBe(3);
      const closed = new Promise((resolve) => redis.once('close', resolve));
      await server.kill();
      await within(closed, 'the connection to close');
      expect(counters.hit('key', rule, 1).total).toBe(4);
      expect((await counters.hitEverywhere('key', rule, 1)).total).toBe(5);
    } finally {
      redis.disconnect();
      await server.kill();
    }
  });
});
