import { errors, jwtVerify, SignJWT } from 'jose';
import { SynapError } from './errors.js';
import { isStorableText } from './text.js';

export interface Identity {
  /** The token's `sub`. */
  readonly userId: string;
  /** Milliseconds since the epoch, where the token ends. */
  readonly expiresAt: number | undefined;
}

export interface Tokens {
  /** @throws SynapError `token_invalid`, `token_expired`. */
  verify(token: string): Promise<Identity>;
  mint(userId: string, options: { readonly expiresInSeconds: number }): Promise<string>;
}

const maxCached = 10_000;

/** HS256 with a shared secret; the user id is the claim `sub`. Signatures that were checked are remembered until they expire. */
export function createTokens(secret: string, now: () => number = Date.now): Tokens {
  const key = new TextEncoder().encode(secret);
  const verified = new Map<string, Identity>();

  const check = async (token: string): Promise<Identity> => {
    const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], currentDate: new Date(now()) });
    const { sub, exp } = payload;
    if (typeof sub !== 'string' || sub === '' || sub.length > 256 || !isStorableText(sub)) {
      throw new SynapError('token_invalid', 'the claim "sub" is not a user id', {
        publicMessage: 'the claim "sub" must be a user id of 1 to 256 characters',
      });
    }
    return { userId: sub, expiresAt: exp === undefined ? undefined : exp * 1_000 };
  };

  return {
    async verify(token) {
      const known = verified.get(token);
      if (known !== undefined && (known.expiresAt ?? Infinity) > now()) return known;
      verified.delete(token);
      const identity = await check(token).catch((thrown: unknown) => {
        throw asSynapError(thrown);
      });
      if (verified.size >= maxCached) verified.delete(verified.keys().next().value ?? '');
      verified.set(token, identity);
      return identity;
    },
    mint(userId, { expiresInSeconds }) {
      const issuedAt = Math.floor(now() / 1_000);
      return new SignJWT({})
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + expiresInSeconds)
        .sign(key);
    },
  };
}

function asSynapError(thrown: unknown): SynapError {
  if (thrown instanceof SynapError) return thrown;
  if (thrown instanceof errors.JWTExpired) return new SynapError('token_expired', thrown.message, { cause: thrown });
  return new SynapError('token_invalid', 'the token does not verify', { cause: thrown });
}
