import { describe, expect, test } from '@jest/globals';
import { readConfig } from './config.js';
import { SynapError } from './errors.js';

const secret = 'x'.repeat(32);
const production = { NODE_ENV: 'production', DATABASE_URL: 'postgresql://h/db', JWT_SECRET: secret };

function faultsOf(environment: Record<string, string>): string[] {
  try {
    readConfig(environment);
    return [];
  } catch (thrown) {
    return thrown instanceof SynapError ? thrown.faults.map(({ path }) => path) : [String(thrown)];
  }
}

describe('the configuration', () => {
  test('of an empty environment is a single node in development', () => {
    expect(readConfig({})).toMatchObject({
      roles: ['api', 'dispatcher', 'worker', 'realtime'],
      http: {
        host: '127.0.0.1',
        port: 3000,
        allowedOrigins: ['http://localhost:5173', 'http://localhost:5174'],
        bodyLimitBytes: 10_485_760,
      },
      rateLimit: { max: 100, windowMs: 60_000, banMs: 3_600_000 },
      database: { url: undefined, poolMin: 5, poolMax: 20, idleTimeoutMs: 30_000 },
    });
  });

  test('tells every fault at once', () => {
    expect(faultsOf({ PORT: 'http', LOG_LEVEL: 'loud', REDIS_URL: 'localhost', JWT_SECRET: 'short' })).toEqual([
      'PORT',
      'LOG_LEVEL',
      'REDIS_URL',
      'JWT_SECRET',
    ]);
  });

  test.each([
    ['production without its secrets', { NODE_ENV: 'production' }, ['DATABASE_URL', 'JWT_SECRET']],
    ['a key server whose name is not known', { JWT_JWKS_URL: 'https://id.example/keys' }, ['JWT_ISSUER']],
    [
      'operators whose sessions nothing signs',
      {
        NODE_ENV: 'production',
        DATABASE_URL: 'postgresql://h/db',
        JWT_JWKS_URL: 'https://id.example/keys',
        JWT_ISSUER: 'https://id.example',
        OPERATOR_PASSWORD: 'a long password',
      },
      ['JWT_SECRET'],
    ],
    ['sockets that drain longer than there is time', { SOCKET_DRAIN_MS: '30000' }, ['SOCKET_DRAIN_MS']],
    ['a part of the roles without Redis', { SYNAP_ROLES: 'api,worker' }, ['REDIS_URL']],
    ['a role that does not exist', { SYNAP_ROLES: 'api,web' }, ['SYNAP_ROLES']],
    ['a delay that leaves no time to stop', { SHUTDOWN_DELAY_MS: '30000' }, ['SHUTDOWN_DELAY_MS']],
    ['a pool that is smaller than its minimum', { DB_POOL_MIN: '9', DB_POOL_MAX: '3' }, ['DB_POOL_MIN']],
    ['a concurrency without a number', { QUEUE_CONCURRENCY: 'note.creation.requested' }, ['QUEUE_CONCURRENCY']],
    ['a label without a value', { METRICS_DEFAULT_LABELS: 'region=eu,cluster' }, ['METRICS_DEFAULT_LABELS']],
    ["a label that is Prometheus' own", { METRICS_DEFAULT_LABELS: '__name__=x' }, ['METRICS_DEFAULT_LABELS']],
    ['a window without a unit that exists', { RATE_LIMIT_WINDOW: '1 fortnight' }, ['RATE_LIMIT_WINDOW']],
  ])('refuses %s', (_what, environment, paths) => {
    expect(faultsOf(environment)).toEqual(paths);
  });

  test.each([
    ['60000', 60_000],
    ['1 minute', 60_000],
    ['15 minutes', 900_000],
    ['1 hour', 3_600_000],
  ])('reads a window of "%s"', (text, ms) => {
    expect(readConfig({ RATE_LIMIT_WINDOW: text }).rateLimit.windowMs).toBe(ms);
  });

  test('takes a key server instead of a secret, in production too', () => {
    const { JWT_SECRET: _secret, ...rest } = production;
    const config = readConfig({ ...rest, JWT_JWKS_URL: 'https://id.example/keys', JWT_ISSUER: 'https://id.example' });
    expect(config.auth.tokens).toMatchObject({ issuer: 'https://id.example', clockToleranceSeconds: 5 });
  });

  test('lets sockets drain for as long as the shutdown allows', () => {
    expect(readConfig({}).sockets.drainMs).toBe(5_000);
    expect(readConfig({ SHUTDOWN_TIMEOUT_MS: '6000' }).sockets.drainMs).toBe(3_000);
  });

  test('takes an empty variable for one that is not set, as compose files write them', () => {
    expect(readConfig({ REDIS_URL: '', JWT_SECRET: '' }).redis.url).toBeUndefined();
  });

  test('allows no origins in production but the named ones, and listens on all interfaces', () => {
    const config = readConfig({ ...production, ALLOWED_ORIGINS: 'https://a.example, https://b.example' });
    expect(config.http).toMatchObject({ allowedOrigins: ['https://a.example', 'https://b.example'], host: '0.0.0.0' });
    expect(config.metrics.port).toBe(9464);
  });

  test.each([
    ['false', false],
    ['1', 1],
    ['10.0.0.0/8', '10.0.0.0/8'],
  ])('reads TRUST_PROXY=%s as Express means it', (text, value) => {
    expect(readConfig({ TRUST_PROXY: text }).http.trustProxy).toBe(value);
  });

  test('reads the labels of all metrics', () => {
    const { defaultLabels } = readConfig({ METRICS_DEFAULT_LABELS: 'region=eu-west-1, cluster=a=b' }).metrics;
    expect(defaultLabels).toEqual({ region: 'eu-west-1', cluster: 'a=b' });
    expect(readConfig({}).metrics.defaultLabels).toEqual({});
  });

  test('reads concurrency per event type', () => {
    expect(
      readConfig({ QUEUE_CONCURRENCY: 'note.creation.requested=3,conversation.message.sent=1' }).queues
        .concurrencyByType,
    ).toEqual({
      'note.creation.requested': 3,
      'conversation.message.sent': 1,
    });
  });
});
