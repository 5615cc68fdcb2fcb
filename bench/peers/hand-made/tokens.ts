import { jwtVerify } from 'jose';

/** @returns whose the token is; checked signatures are remembered, as a team with a profile would. */
export function createVerifier(secret: string): (token: string) => Promise<string> {
  const key = new TextEncoder().encode(secret);
  const known = new Map<string, { readonly userId: string; readonly until: number }>();
  return async (token) => {
    const found = known.get(token);
    if (found !== undefined && found.until > Date.now()) return found.userId;
    const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'] });
    if (payload.sub === undefined) throw new Error('a token without a subject');
    known.set(token, { userId: payload.sub, until: (payload.exp ?? 0) * 1_000 });
    return payload.sub;
  };
}
