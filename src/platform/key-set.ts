import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { SynapError } from './errors.js';

/** A key server that does not answer by then counts as away. */
const timeoutMs = 3_000;
/** A key that is not known is asked for at most so often; what is known is asked for again after `freshMs`. */
const cooldownMs = 30_000;
const freshMs = 600_000;
/** While their server is away, keys stay good for so long: its outage must not sign everybody out. */
const staleMs = 3_600_000;

/**
 * The public keys of an identity provider, fetched when they are needed and kept.
 * @throws SynapError `unavailable` where they cannot be had, which says nothing of the token
 */
export function createKeySet(url: string, now: () => number): JWTVerifyGetKey {
  const remote = createRemoteJWKSet(new URL(url), {
    timeoutDuration: timeoutMs,
    cooldownDuration: cooldownMs,
    cacheMaxAge: freshMs,
  });
  let knownAt = -Infinity;
  return async (header, token) => {
    try {
      const key = await remote(header, token);
      if (remote.fresh) knownAt = now();
      return key;
    } catch (thrown) {
      if (isAboutToken(thrown)) throw thrown;
      const known = remote.jwks();
      const keys = known === undefined || now() - knownAt > staleMs ? undefined : createLocalJWKSet(known);
      const away = new SynapError('unavailable', 'the keys of tokens cannot be fetched', { cause: thrown });
      if (keys === undefined) throw away;
      // A key that is not among them may be a new one.
      return keys(header, token).catch((unknown: unknown) => {
        throw unknown instanceof errors.JWKSNoMatchingKey ? away : unknown;
      });
    }
  };
}

function isAboutToken(thrown: unknown): boolean {
  return (
    thrown instanceof errors.JWKSNoMatchingKey ||
    thrown instanceof errors.JWKSMultipleMatchingKeys ||
    thrown instanceof errors.JOSENotSupported
  );
}
