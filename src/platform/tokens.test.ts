import { describe, expect, test } from '@jest/globals';
import { SignJWT, UnsecuredJWT } from 'jose';
import { createTokens } from './tokens.js';

const secret = 'a secret of the tests, 32 characters or more';
const key = new TextEncoder().encode(secret);
const sign = (claims: Record<string, unknown>, signingKey = key, alg = 'HS256') =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(signingKey);
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
    ['without a signature', () => Promise.resolve(new UnsecuredJWT({ sub: 'ada' }).encode())],
    ['without a user', () => sign({})],
    ['whose user is no text', () => sign({ sub: 7 })],
    ['whose user cannot be stored', () => sign({ sub: 'a\u0000' })],
    ['whose user is endless', () => sign({ sub: 'a'.repeat(257) })],
    ['that is none', () => Promise.resolve('nonsense')],
  ])('%s is refused', async (_what, make) => {
    expect(await codeOf(createTokens(secret).verify(await make()))).toBe('token_invalid');
  });
});
