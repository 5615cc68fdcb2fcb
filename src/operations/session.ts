import { createHmac, createHash, timingSafeEqual } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';

export interface OperatorCredentials {
  readonly name: string;
  readonly password: string;
}

export const sessionSeconds = 8 * 3_600;
const audience = 'synap-operator';

/** Sign-in without a store: a signed value in a cookie, good on every replica. */
export interface Sessions {
  /** Takes the same time whatever is wrong with them. */
  accepts(name: string, password: string): boolean;
  issue(): Promise<string>;
  /** The operator's name, or undefined. */
  read(session: string | undefined): Promise<string | undefined>;
}

/**
 * The key is derived from the secret for this one use, so that no user's token is a session and no session a user's token;
 * and from the credentials, so that a new password ends the sessions of the old one.
 */
export function createSessions(secret: string, operator: OperatorCredentials, now: () => number): Sessions {
  const key = createHmac('sha256', secret)
    .update(JSON.stringify([audience, operator.name, operator.password]))
    .digest();
  return {
    accepts(name, password) {
      const isName = equal(name, operator.name);
      const isPassword = equal(password, operator.password);
      return isName && isPassword;
    },
    issue() {
      const issuedAt = Math.floor(now() / 1_000);
      return new SignJWT({})
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(operator.name)
        .setAudience(audience)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + sessionSeconds)
        .sign(key);
    },
    async read(session) {
      if (session === undefined) return undefined;
      try {
        const options = {
          algorithms: ['HS256'],
          audience,
          requiredClaims: ['sub', 'exp'],
          currentDate: new Date(now()),
        };
        const { payload } = await jwtVerify(session, key, options);
        return payload.sub;
      } catch {
        return undefined;
      }
    },
  };
}

/** Digests have one length, whatever was sent, so the comparison reveals nothing of the password's. */
function equal(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
