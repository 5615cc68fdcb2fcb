import type { FieldFault } from './types.js';

/**
 * What was refused, for good. `code` never changes (docs/errors.md): of the problem that HTTP answered, or of the socket. `status` is
 * HTTP's, 0 where it was not HTTP that refused.
 */
export class SynapClientError extends Error {
  override readonly name = 'SynapClientError';
  readonly code: string;
  readonly status: number;
  /** Of a body that was refused: the path of each fault, such as `data.title`. */
  readonly faults: readonly FieldFault[];

  constructor(code: string, message: string, more: { status?: number; faults?: readonly FieldFault[] } = {}) {
    super(message);
    this.code = code;
    this.status = more.status ?? 0;
    this.faults = more.faults ?? [];
  }
}

export const closedError = (): SynapClientError => new SynapClientError('closed', 'The client was closed.');

export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
