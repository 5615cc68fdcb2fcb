import { SynapError, toError } from '../platform/errors.js';

/** One line that says what is wrong, one that says what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

/** Whatever was thrown, with the best advice there is. */
export function toCliError(thrown: unknown): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof SynapError)
    return new CliError(thrown.code, thrown.publicMessage ?? thrown.message, adviceOn(thrown));
  const error = toError(thrown);
  return new CliError('internal', error.message, `This looks like a fault of Synap: ${firstFrame(error)}`);
}

function adviceOn({ code, message }: SynapError): string {
  if (code === 'config_invalid') return 'Correct these variables; "synap doctor" checks them again.';
  if (message.startsWith('cannot open the database'))
    return 'Start Synap with bin/start, or set DATABASE_URL to a PostgreSQL that runs.';
  return '"synap doctor" checks what Synap needs.';
}

const firstFrame = ({ stack = '' }: Error): string => stack.split('\n')[1]?.trim() ?? 'no stack';
