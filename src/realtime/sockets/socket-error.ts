import type { z } from 'zod';
import { SynapError } from '../../platform/errors.js';
import { socketErrorCodes, type SocketErrorCode } from '../contract.js';

/** What a client reads: as `connect_error.data`, in a refused acknowledgement, in `closing`. */
export class SocketError extends Error {
  override readonly name = 'SocketError';
  /** Socket.IO sends `message` and `data` of an error that refuses a connection. */
  readonly data: { readonly code: SocketErrorCode; readonly message: string };

  constructor(code: SocketErrorCode, message: string) {
    super(message);
    this.data = { code, message };
  }
}

/** Whatever was thrown, as what the client may know of it. */
export function toSocketError(thrown: unknown): SocketError {
  if (thrown instanceof SocketError) return thrown;
  if (thrown instanceof SynapError) {
    const code = socketErrorCodes.find((known) => known === thrown.code);
    if (code !== undefined) return new SocketError(code, thrown.publicMessage ?? thrown.title);
  }
  return new SocketError('unavailable', 'Temporarily unavailable, try again shortly');
}

/** @throws SocketError `invalid_message` */
export function parse<T>(schema: z.ZodType<T>, message: unknown): T {
  const parsed = schema.safeParse(message);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SocketError('invalid_message', `${issue?.path.join('.') || 'The message'}: ${issue?.message ?? 'invalid'}`);
}
