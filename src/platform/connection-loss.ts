import { toError } from './errors.js';

/** The two-character class of a SQLSTATE, or undefined where the error did not come from Postgres' executor. */
export function sqlStateClass(thrown: unknown): string | undefined {
  return sqlState(thrown)?.slice(0, 2);
}

function sqlState(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  // EPIPE has five letters too; no class of SQLSTATE begins with E.
  return typeof code === 'string' && /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) ? code : undefined;
}

/** What pg, sockets and name resolution say (a container that is stopped has no name: EAI_AGAIN). */
const lossOfConnection =
  /timeout (exceeded|expired)|read timeout|Connection terminated|not queryable|been discarded|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONN(REFUSED|RESET|ABORTED)|E(HOST|NET)UNREACH/i;

/** Connection (08), resources: disk, memory, connections (53), an operator or a crash (57), the system's own (58). */
const lossClasses: ReadonlySet<string> = new Set(['08', '53', '57', '58']);
/** The server has become a replica: the connection leads to the wrong place. */
const readOnly = '25006';
const cancelled = '57014';

/** Errors of the connection or the server and not of the statement: whether it committed is unknown, and it may be repeated. */
export function isConnectionLoss(thrown: unknown): boolean {
  if (thrown === undefined || thrown === null) return false;
  const state = sqlState(thrown);
  if (state !== undefined) return lossClasses.has(state.slice(0, 2)) || state === readOnly;
  const error = toError(thrown);
  return lossOfConnection.test(`${error.message} ${'code' in error ? String(error.code) : ''}`);
}

/** pg's own words for "no answer within `query_timeout`"; the connection may not be used again. */
export function isReadTimeout(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message === 'Query read timeout';
}

/** What came from a connection to Postgres, and not from a service that a handler called: it may be refused in the same words. */
const ofTheDatabase = new WeakSet<object>();

export function noteDatabaseLoss<T>(thrown: T): T {
  if (typeof thrown === 'object' && thrown !== null && isConnectionLoss(thrown)) ofTheDatabase.add(thrown);
  return thrown;
}

/** Whether this error, or what caused it, is the loss of a connection to Postgres. A statement that took too long is none. */
export function isDatabaseLoss(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return (ofTheDatabase.has(thrown) && sqlState(thrown) !== cancelled) || isDatabaseLoss(thrown.cause);
}
