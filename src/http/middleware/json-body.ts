import express, { type Request, type RequestHandler } from 'express';
import { SynapError } from '../../platform/errors.js';

const maxDepth = 200;
/** A level takes two characters; what is shorter cannot be deep enough to matter, and most bodies are. */
const suspiciousBytes = 2_000;

/** What was compressed on the way says nothing of its length. */
const isShort = ({ headers }: Request): boolean =>
  headers['content-encoding'] === undefined && Number(headers['content-length'] ?? Infinity) <= suspiciousBytes;

/** Parses application/json up to `limitBytes`; the parser's own faults are mapped in problem.ts. */
export function jsonBody(limitBytes: number): RequestHandler[] {
  return [onlyJson, express.json({ limit: limitBytes, strict: false }), boundedDepth];
}

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
