import { isConnectionLoss, unavailable } from '../platform/database.js';
import { SynapError, toError, type ErrorCode, type Fault } from '../platform/errors.js';

/** RFC 9457 with Synap's members. `code` is what a client branches on (docs/errors.md). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail?: string;
  /** Each fault of the input: where and what. */
  readonly errors?: readonly Fault[];
}

/** What an outsider may know of an error. Anything of the inside is `internal` and nothing more. */
export function toProblem(error: SynapError): Problem {
  const { code, title, status, publicMessage, faults } = status500(error) ? new SynapError('internal', '') : error;
  return {
    type: `urn:synap:error:${code}`,
    title,
    status,
    code,
    ...(publicMessage !== undefined && { detail: publicMessage }),
    ...(faults.length > 0 && { errors: faults }),
  };
}

const status500 = (error: SynapError): boolean => error.status === 500;

/** What was thrown while a call was answered, as one of Synap's errors. */
export function toSynapError(thrown: unknown): SynapError {
  if (thrown instanceof SynapError) return thrown;
  if (isDatabaseAway(thrown)) return unavailable(thrown);
  return fromLibrary(thrown) ?? new SynapError('internal', toError(thrown).message, { cause: thrown });
}

/** P1 and P2 are Prisma's own codes for a connection; with a driver adapter the driver's error may be inside. */
function isDatabaseAway(thrown: unknown): boolean {
  if (isConnectionLoss(thrown)) return true;
  const code = property(thrown, 'code');
  return typeof code === 'string' && /^(P1001|P1002|P1008|P1017|P2024)$/.test(code);
}

const byParserType: Readonly<Record<string, ErrorCode>> = {
  'entity.parse.failed': 'malformed_json',
  'entity.too.large': 'payload_too_large',
  'encoding.unsupported': 'unsupported_media_type',
  'charset.unsupported': 'unsupported_media_type',
};

const byStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'validation_failed',
  404: 'not_found',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
};

/** The errors of body-parser, the router and send carry a status; those for clients (4xx) may be shown. */
function fromLibrary(thrown: unknown): SynapError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const status = property(thrown, 'status');
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined;
  const type = property(thrown, 'type');
  const code = (typeof type === 'string' ? byParserType[type] : undefined) ?? byStatus[status] ?? 'validation_failed';
  return new SynapError(code, thrown.message, { publicMessage: thrown.message, cause: thrown });
}

function property(thrown: unknown, name: string): unknown {
  return typeof thrown === 'object' && thrown !== null ? (Reflect.get(thrown, name) as unknown) : undefined;
}
