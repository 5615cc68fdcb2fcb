import { pino, type Logger } from 'pino';
import type { Config } from './config.js';
import { currentContext } from './context.js';
import { toError } from './errors.js';

export type { Logger };

const secretNames = ['password', 'token', 'apiKey', 'secret', 'authorization', 'cookie', 'credit_card'];

/** What is worth a line; drivers hang whole connections on their errors, passwords included. */
function describeError(thrown: unknown): object {
  const error = toError(thrown);
  const code = 'code' in error && { code: error.code };
  const cause = error.cause !== undefined && { cause: describeError(error.cause) };
  return { type: error.name, message: error.message, ...code, stack: error.stack, ...cause };
}

/** Logs to stdout: JSON lines, or text for a person where `pretty`. Secrets are cut at any of the first three levels. */
export function createLogger(config: Config['log'], bindings: Record<string, unknown> = {}): Logger {
  return pino({
    level: config.level,
    base: bindings,
    redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    serializers: { err: describeError },
    mixin: () => currentContext() ?? {},
    ...(config.pretty && {
      transport: {
        target: 'pino-pretty',
        options: { ignore: 'pid,hostname,roles', translateTime: 'HH:MM:ss.l', singleLine: true },
      },
    }),
  });
}
