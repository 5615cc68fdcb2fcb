import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWK } from 'jose';
import { ManualClock } from '../../test/support/manual-clock.js';
import { createTokens, type TokenRules } from './tokens.js';

const secret = 'a secret of the tests, 32 characters or more';
const bytes = (text: string) => new TextEncoder().encode(text);
const key = bytes(secret);
const sign = (claims: Record<string, unknown>, signingKey = key, alg = 'HS256') =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(signingKey);
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const withClaims = (token: string, claims: object) => token.replace(/\..*\./, `.${encoded(claims)}.`);
/** Signed as anybody could who has the secret and no library that keeps them from it. */
function signWith(header: object, claims: object): Promise<string> {
  const input = `${encoded(header)}.${encoded(claims)}`;
  return Promise.resolve(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`);
}
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  );

describe('a token', () => {
  test('that was minted is verified, until it expires, also when it is already known', async () => {
    let now = Date.now();
    const tokens = createTokens(secret, () => now);
    const token = await tokens.mint('ada', { expiresInSeconds: 60 });
    expect(await tokens.verify(token)).toMatchObject({ userId: 'ada' });
    now += 61_000;
    expect(await codeOf(tokens.verify(token))).toBe('token_expired');
  });

  test.each([
    [
      'of another secret',
      () => sign({ sub: 'ada' }, new TextEncoder().encode('another secret with 32 characters or so')),
    ],
    ['of another algorithm', () => sign({ sub: 'ada' }, new TextEncoder().encode(secret.repeat(2)), 'HS512')],
    ['whose claims were changed', async () => withClaims(await sign({ sub: 'ada' }), { sub: 'eve' })],
    ['whose signature was cut', async () => (await sign({ sub: 'ada' })).slice(0, -1)],
    ['whose signature was taken off', async () => (await sign({ sub: 'ada' })).replace(/[^.]*$/, '')],
    ['that asks for what nobody here knows', () => signWith({ alg: 'HS256', crit: ['exp'], exp: 1 }, { sub: 'ada' })],
    ['of too many parts', async () => `${await sign({ sub: 'ada' })}.more`],
    ['without a signature', () => Promise.resolve(new UnsecuredJWT({ sub: 'ada' }).encode())],
    ['without a user', () => sign({})],
    ['whose user is no text', () => sign({ sub: 7 })],
    ['whose user cannot be stored', () => sign({ sub: 'a\u0000' })],
    ['whose user is endless', () => sign({ sub: 'a'.repeat(257) })],
    ['that is none', () => Promise.resolve('nonsense')],
    ['that begins later', () => sign({ sub: 'ada', nbf: Math.floor(Date.now() / 1_000) + 60 })],
  ])('%s is refused', async (_what, make) => {
    expect(await codeOf(createTokens(secret).verify(await make()))).toBe('token_invalid');
  });

  test.each<[string, TokenRules, Record<string, unknown>, string]>([
    ['of the right issuer and audience', {}, { iss: 'id', aud: ['other', 'synap'] }, 'accepted'],
    ['of another issuer', {}, { iss: 'elsewhere', aud: 'synap' }, 'token_invalid'],
    ['of no issuer', {}, { aud: 'synap' }, 'token_invalid'],
    ['for somebody else', {}, { iss: 'id', aud: 'other' }, 'token_invalid'],
    ['for nobody', {}, { iss: 'id' }, 'token_invalid'],
  ])('%s', async (_what, more, claims, code) => {
    const tokens = createTokens({ secret, issuer: 'id', audience: ['synap', 'synap-2'], ...more });
    expect(await codeOf(tokens.verify(await sign({ sub: 'ada', ...claims })))).toBe(code);
    expect(await tokens.verify(await tokens.mint('ada', { expiresInSeconds: 60 }))).toMatchObject({ userId: 'ada' });
  });

  test('may be off by the tolerance at both ends, and lives until then', async () => {
    const tokens = createTokens({ secret, clockToleranceSeconds: 5 });
    const seconds = Math.floor(Date.now() / 1_000);
    const code = async (claims: object) => codeOf(tokens.verify(await sign({ sub: 'ada', ...claims })));
    expect(await code({ exp: seconds - 3 })).toBe('accepted');
    expect(await code({ exp: seconds - 7 })).toBe('token_expired');
    expect(await code({ nbf: seconds + 3 })).toBe('accepted');
    expect(await code({ nbf: seconds + 8 })).toBe('token_invalid');
    const { expiresAt } = await tokens.verify(await sign({ sub: 'ada', exp: seconds + 60 }));
    expect(expiresAt).toBe((seconds + 65) * 1_000);
  });
});

describe('the end of a token', () => {
  const tokens = createTokens(secret);

  test.each([
    ['milliseconds, where seconds are meant', Date.now()],
    ['more than a date can say', 9_999_999_999_999],
    ['the first second of the year 10000', 253_402_300_800],
    ['without an end', Number.MAX_VALUE],
  ])('that is %s is refused, and the answer says what is wrong', async (_what, exp) => {
    const refused = tokens.verify(await sign({ sub: 'ada', exp }));
    await expect(refused).rejects.toMatchObject({
      code: 'token_invalid',
      publicMessage: expect.stringContaining('"exp"'),
    });
  });

  test('may be as late as the year 9999, the tolerance included', async () => {
    const token = await sign({ sub: 'ada', exp: 253_402_300_799 });
    expect(new Date((await tokens.verify(token)).expiresAt ?? 0).toISOString()).toBe('9999-12-31T23:59:59.000Z');
    const tolerant = createTokens({ secret, clockToleranceSeconds: 5 });
    expect(await codeOf(tolerant.verify(token))).toBe('token_invalid');
  });
});

test('what is remembered of a token is as short for long ones', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const tokens = createTokens(secret);
  const heap = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  for (let n = 0; n < 3_000; n++) await tokens.verify(await sign({ sub: `ada-${n}`, text: 'x'.repeat(6_000) }));
  expect(heap() - before).toBeLessThan(8_000_000);
  // It lives until here.
  expect(await codeOf(tokens.verify(await sign({ sub: 'ada' })))).toBe('accepted');
});

describe('a key server', () => {
  interface Pair {
    readonly publicKey: CryptoKey;
    readonly privateKey: CryptoKey;
  }
  let server: Server;
  let url: string;
  let keys: JWK[];
  let fetches: number;
  let isAway: boolean;
  beforeEach(async () => {
    [keys, fetches, isAway] = [[], 0, false];
    server = createServer((_request, response) => {
      fetches += 1;
      response.writeHead(isAway ? 500 : 200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ keys }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/jwks.json`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const rules = () => ({ jwksUrl: url, issuer: 'https://id.example' });
  async function publish(alg: string, kid: string): Promise<Pair> {
    const pair = await generateKeyPair(alg, { extractable: true });
    keys.push({ ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig' });
    return pair;
  }
  const tokenOf = (pair: Pair, alg: string, kid: string, claims: object = {}) =>
    new SignJWT({ sub: 'ada', iss: 'https://id.example', ...claims })
      .setProtectedHeader({ alg, kid })
      .setExpirationTime('1h')
      .sign(pair.privateKey);

  test.each(['RS256', 'PS256', 'ES256', 'EdDSA'])('vouches with %s, and its keys are fetched once', async (alg) => {
    const pair = await publish(alg, 'one');
    const tokens = createTokens(rules());
    expect(await tokens.verify(await tokenOf(pair, alg, 'one'))).toMatchObject({ userId: 'ada' });
    await tokens.verify(await tokenOf(pair, alg, 'one', { jti: 'another' }));
    expect(fetches).toBe(1);
  });

  test('and the shared secret may both vouch', async () => {
    const pair = await publish('ES256', 'one');
    const tokens = createTokens({ ...rules(), secret });
    expect(await tokens.verify(await tokens.mint('ada', { expiresInSeconds: 60 }))).toMatchObject({ userId: 'ada' });
    expect(await tokens.verify(await tokenOf(pair, 'ES256', 'one'))).toMatchObject({ userId: 'ada' });
  });

  test.each<[string, (pair: Pair, other: Pair) => Promise<string>]>([
    ['of a key that it does not have', (_pair, other) => tokenOf(other, 'RS256', 'one')],
    ['of another issuer', (pair) => tokenOf(pair, 'RS256', 'one', { iss: 'https://evil.example' })],
    [
      'that was signed with its public key as if that were a secret',
      async ({ publicKey }) => {
        const claims = { sub: 'ada', iss: 'https://id.example' };
        return new SignJWT(claims)
          .setProtectedHeader({ alg: 'HS256', kid: 'one' })
          .sign(bytes(await exportSPKI(publicKey)));
      },
    ],
    [
      'without a signature',
      () => Promise.resolve(new UnsecuredJWT({ sub: 'ada', iss: 'https://id.example' }).encode()),
    ],
    ['that the secret of nobody here has signed', () => sign({ sub: 'ada', iss: 'https://id.example' })],
  ])('does not vouch for a token %s', async (_what, make) => {
    const pair = await publish('RS256', 'one');
    const other = await generateKeyPair('RS256', { extractable: true });
    expect(await codeOf(createTokens(rules()).verify(await make(pair, other)))).toBe('token_invalid');
  });

  test('that is away says nothing of a token: unavailable, and later accepted', async () => {
    const pair = await publish('ES256', 'one');
    const tokens = createTokens(rules());
    isAway = true;
    const token = await tokenOf(pair, 'ES256', 'one');
    expect(await codeOf(tokens.verify(token))).toBe('unavailable');
    isAway = false;
    expect(await codeOf(tokens.verify(token))).toBe('accepted');
  });

  describe('in the course of time', () => {
    const realNow = Date.now;
    let clock: ManualClock;
    beforeEach(() => {
      clock = new ManualClock(realNow());
      // The library asks this clock for the age of its keys.
      Date.now = clock.now;
    });
    afterEach(() => {
      Date.now = realNow;
    });

    test('takes new keys into use, and old ones out of it', async () => {
      const first = await publish('ES256', 'one');
      const tokens = createTokens(rules(), clock.now);
      const old = await tokenOf(first, 'ES256', 'one');
      expect(await codeOf(tokens.verify(old))).toBe('accepted');
      keys = [];
      const second = await publish('ES256', 'two');
      await clock.advance(31_000);
      expect(await codeOf(tokens.verify(await tokenOf(second, 'ES256', 'two')))).toBe('accepted');
      await clock.advance(300_000);
      expect(await codeOf(tokens.verify(old))).toBe('token_invalid');
    });

    test('known keys outlive an outage of an hour, and unknown ones are no reason to sign anybody out', async () => {
      const pair = await publish('ES256', 'one');
      const unknown = await generateKeyPair('ES256', { extractable: true });
      const tokens = createTokens(rules(), clock.now);
      const fresh = async () =>
        codeOf(tokens.verify(await tokenOf(pair, 'ES256', 'one', { jti: String(clock.now()) })));
      expect(await fresh()).toBe('accepted');
      isAway = true;
      await clock.advance(3_500_000);
      expect(await fresh()).toBe('accepted');
      expect(await codeOf(tokens.verify(await tokenOf(unknown, 'ES256', 'two')))).toBe('unavailable');
      await clock.advance(200_000);
      expect(await fresh()).toBe('unavailable');
    });
  });
});
