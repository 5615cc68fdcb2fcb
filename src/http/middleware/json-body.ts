import express, { type NextFunction, type Request, type RequestHandler } from 'express';
import { inThisContext } from '../../platform/context.js';
import { SynapError, toError } from '../../platform/errors.js';
import { inOrder } from './in-order.js';

const maxDepth = 200;
/** A level takes two characters; what is shorter cannot be deep enough to matter, and most bodies are. */
const suspiciousBytes = 2_000;

/** What was compressed on the way says nothing of its length. */
const isShort = ({ headers }: Request): boolean =>
  headers['content-encoding'] === undefined && Number(headers['content-length'] ?? Infinity) <= suspiciousBytes;

/** Parses application/json up to `limitBytes`; the parser's own faults are mapped in problem.ts. */
export function jsonBody(limitBytes: number): RequestHandler[] {
  const parse = inOrder([onlyJson, express.json({ limit: limitBytes, strict: false }), boundedDepth]);
  return [(req, res, next) => (isPlain(req) ? readPlain(req, next) : parse(req, res, next))];
}

/** What nearly every client sends: short, of a length that is told, neither compressed nor of another character set. */
function isPlain({ headers }: Request): boolean {
  const length = Number(headers['content-length']);
  return (
    headers['content-type'] === 'application/json' &&
    headers['content-encoding'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    length > 0 &&
    length <= suspiciousBytes
  );
}

/** The general parser takes several times as long for such a body as JSON.parse. */
function readPlain(req: Request, done: NextFunction): void {
  // Events of a stream come in the context of its connection.
  const next = inThisContext((thrown?: unknown) => done(thrown));
  const parts: Buffer[] = [];
  let isOver = false;
  req.on('data', (part: Buffer) => parts.push(part));
  req.once('end', () => {
    isOver = true;
    const [first = Buffer.of()] = parts;
    try {
      req.body = JSON.parse(withoutMark((parts.length === 1 ? first : Buffer.concat(parts)).toString())) as unknown;
    } catch (thrown) {
      const { message } = toError(thrown);
      return next(new SynapError('malformed_json', message, { publicMessage: message, cause: thrown }));
    }
    next();
  });
  const leave = (): void => {
    if (isOver) return;
    isOver = true;
    next(new SynapError('validation_failed', 'the client left before the end of its body'));
  };
  req.once('error', leave);
  req.once('close', leave);
}

/** A byte order mark may stand before JSON, and is none. */
const withoutMark = (text: string): string => (text.startsWith('\uFEFF') ? text.slice(1) : text);

const onlyJson: RequestHandler = (req, _res, next) => {
  // null: there is no body, which is for the route's own validation to say.
  if (req.is('application/json') !== false) return next();
  throw new SynapError('unsupported_media_type', `content type ${req.get('content-type') ?? 'missing'}`, {
    publicMessage: 'Send the body as application/json.',
  });
};

/** JSON.parse takes any depth, but what comes after it is recursive: 10 MB of `[` would overflow somebody's stack. */
const boundedDepth: RequestHandler = (req, _res, next) => {
  if (!isShort(req) && isDeeper(req.body, maxDepth)) {
    const message = `must not be nested deeper than ${maxDepth} levels`;
    throw new SynapError('validation_failed', 'nested too deep', { faults: [{ path: '', message }] });
  }
  next();
};

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => isDeeper(item, levels - 1));
}
