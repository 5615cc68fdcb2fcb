import { createSecretKey, hash, type KeyObject } from 'node:crypto';
import {
  decodeProtectedHeader,
  errors,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
  type JWTPayload,
  type JWTVerifyOptions,
} from 'jose';
import jsonwebtoken from 'jsonwebtoken';
import { SynapError } from './errors.js';
import { createKeySet } from './key-set.js';
import { isStorableText } from './text.js';

export interface Identity {
  /** The token's `sub`. */
  readonly userId: string;
  /** Milliseconds since the epoch: from then on the token is not taken any more. */
  readonly expiresAt: number | undefined;
}

export interface Tokens {
  /** @throws SynapError `token_invalid`, `token_expired`; `unavailable` where the keys cannot be had. */
  verify(token: string): Promise<Identity>;
  /** Signed with the secret. */
  mint(userId: string, options: { readonly expiresInSeconds: number }): Promise<string>;
}

/** Whose tokens are taken: those of the shared secret (HS256), those of a key server, or both. */
export interface TokenRules {
  readonly secret?: string | undefined;
  readonly jwksUrl?: string | undefined;
  /** What `iss` and `aud` must be, where they are given here. */
  readonly issuer?: string | undefined;
  readonly audience?: readonly string[] | undefined;
  /** By how much the clock of who made a token may be off. */
  readonly clockToleranceSeconds?: number | undefined;
}

const maxCached = 10_000;
/** Longer ones are remembered by their hashes: a token may have 8 KB. */
const maxKeyLength = 512;
/** A key that was taken back counts for no longer than this. */
const rememberMs = 300_000;
/** The last that an ISO date can say in the form that clients know; milliseconds in place of seconds are beyond it. */
const latestEndMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const keyServerAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];

/**
 * Tells users by the claim `sub` of their tokens. Signatures that were checked are remembered for a while.
 * @param rules the shared secret alone, or more
 */
export function createTokens(rules: string | TokenRules, now: () => number = Date.now): Tokens {
  const given: TokenRules = typeof rules === 'string' ? { secret: rules } : rules;
  const verified = new Map<string, { readonly identity: Identity; readonly until: number }>();
  const check = verifier(given, now);
  return {
    async verify(token) {
      // The mark keeps the hash of one token from being taken for another.
      const key = token.length <= maxKeyLength ? `t${token}` : `h${hash('sha256', token, 'base64')}`;
      const known = verified.get(key);
      if (known !== undefined && known.until > now()) return known.identity;
      verified.delete(key);
      const identity = await check(token).catch((thrown: unknown) => {
        throw asSynapError(thrown);
      });
      if (verified.size >= maxCached) verified.delete(verified.keys().next().value ?? '');
      verified.set(key, { identity, until: Math.min(identity.expiresAt ?? Infinity, now() + rememberMs) });
      return identity;
    },
    mint: (userId, { expiresInSeconds }) => sign(given, userId, Math.floor(now() / 1_000), expiresInSeconds),
  };
}

/** The token's own algorithm only chooses among the keys: each kind of key takes the algorithms that are meant for it. */
function verifier({ secret, jwksUrl, ...rules }: TokenRules, now: () => number) {
  const { issuer, audience, clockToleranceSeconds = 0 } = rules;
  const key = secret === undefined ? undefined : createSecretKey(Buffer.from(secret));
  const keySet = jwksUrl === undefined ? undefined : createKeySet(jwksUrl, now);
  const options = (algorithms: string[]): JWTVerifyOptions => ({
    algorithms,
    currentDate: new Date(now()),
    clockTolerance: clockToleranceSeconds,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience: [...audience] }),
  });
  const payloadOf = async (token: string): Promise<JWTPayload> => {
    const { alg, crit } = decodeProtectedHeader(token);
    const isOfSecret = alg === 'HS256';
    if (isOfSecret && key !== undefined && crit === undefined) return claimsOf(token, key, options([]));
    if (!isOfSecret && keySet !== undefined)
      return (await jwtVerify(token, keySet, options(keyServerAlgorithms))).payload;
    throw new SynapError('token_invalid', 'no key takes the algorithm of the token');
  };
  return async (token: string): Promise<Identity> => identityOf(await payloadOf(token), clockToleranceSeconds);
}

const { verify: verifySignature } = jsonwebtoken;

/** The header of a token without a signature. */
const unsigned = Buffer.from('{"alg":"none"}').toString('base64url');

/**
 * A token's claims, where its HMAC is right. In the thread that asks: Web Crypto takes a job of the pool for the key and one for the
 * signature, and 0.3 ms of whoever connects. The claims themselves are checked where those of all tokens are.
 */
function claimsOf(token: string, key: KeyObject, options: JWTVerifyOptions): JWTPayload {
  verifySignature(token, key, { algorithms: ['HS256'], ignoreExpiration: true, ignoreNotBefore: true });
  return UnsecuredJWT.decode(`${unsigned}${token.slice(token.indexOf('.'), token.lastIndexOf('.') + 1)}`, options)
    .payload;
}

function identityOf({ sub, exp }: JWTPayload, toleranceSeconds: number): Identity {
  if (typeof sub !== 'string' || sub === '' || sub.length > 256 || !isStorableText(sub)) {
    throw new SynapError('token_invalid', 'the claim "sub" is not a user id', {
      publicMessage: 'the claim "sub" must be a user id of 1 to 256 characters',
    });
  }
  const expiresAt = exp === undefined ? undefined : (exp + toleranceSeconds) * 1_000;
  if (expiresAt !== undefined && expiresAt > latestEndMs) {
    throw new SynapError('token_invalid', 'the claim "exp" is beyond the year 9999', {
      publicMessage: 'the claim "exp" must be seconds since the epoch, and no later than the year 9999',
    });
  }
  return { userId: sub, expiresAt };
}

function sign(
  { secret, issuer, audience }: TokenRules,
  userId: string,
  issuedAt: number,
  seconds: number,
): Promise<string> {
  if (secret === undefined) throw new SynapError('unavailable', 'there is no secret to sign tokens with');
  const token = new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(userId)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + seconds);
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience([...audience]);
  return token.sign(new TextEncoder().encode(secret));
}

function asSynapError(thrown: unknown): SynapError {
  if (thrown instanceof SynapError) return thrown;
  if (thrown instanceof errors.JWTExpired) return new SynapError('token_expired', thrown.message, { cause: thrown });
  // What is wrong with a claim helps who makes the tokens; what is wrong with a signature helps nobody else.
  const claim = thrown instanceof errors.JWTClaimValidationFailed ? { publicMessage: thrown.message } : {};
  return new SynapError('token_invalid', 'the token does not verify', { cause: thrown, ...claim });
}
