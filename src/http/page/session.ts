import { asObject, textOf } from './core/json.js';

export interface Session {
  readonly userId: string;
  readonly token: string;
}

const storageKey = 'synap.session';
const farewellKey = 'synap.farewell';
const demoKey = 'synap.demo';

/** A token's claim `sub`, unverified: the server is the one who checks it. Undefined where the text is no token. */
export function sessionFrom(token: string): Session | undefined {
  const claims = token.trim().split('.')[1];
  if (claims === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(atob(claims.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
    const userId = textOf(asObject(JSON.parse(new TextDecoder().decode(bytes))), 'sub');
    return userId === undefined ? undefined : { userId, token: token.trim() };
  } catch {
    return undefined;
  }
}

/** Kept for this tab only: closing it signs out. */
export const savedSession = (): Session | undefined => sessionFrom(sessionStorage.getItem(storageKey) ?? '');
export const saveSession = (session: Session): void => sessionStorage.setItem(storageKey, session.token);

/** A server that signs demo users in also serves the examples. */
export const noteDemoServer = (): void => sessionStorage.setItem(demoKey, 'yes');
export const isDemoServer = (): boolean => sessionStorage.getItem(demoKey) !== null;

/** `farewell` is said on the sign-in page that comes next. */
export function forgetSession(farewell: string): void {
  sessionStorage.removeItem(storageKey);
  sessionStorage.setItem(farewellKey, farewell);
}

export function takeFarewell(): string {
  const farewell = sessionStorage.getItem(farewellKey) ?? '';
  sessionStorage.removeItem(farewellKey);
  return farewell;
}
