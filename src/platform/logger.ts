import { createRequire } from 'node:module';
import { pino, type Logger, type LoggerOptions } from 'pino';
import type * as Pretty from 'pino-pretty';
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

type LogSettings = Pick<Config['log'], 'level' | 'pretty'> & Partial<Config['log']>;

/** Logs to stdout: JSON lines, or text for a person where `pretty`. Secrets are cut at any of the first three levels. */
export function createLogger(config: LogSettings, bindings: Record<string, unknown> = {}): Logger {
  const options: LoggerOptions = {
    level: config.level,
    base: bindings,
    redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    serializers: { err: describeError },
    mixin: () => currentContext() ?? {},
  };
  return config.pretty ? pino(options, forPeople(config.hasColour ?? true)) : pino(options);
}

/** In this thread and at once, so that lines stand in the order in which things happened, also at the end of a process. */
function forPeople(hasColour: boolean) {
  // Loaded where it is used: in production nobody reads.
  const { PinoPretty } = createRequire(import.meta.url)('pino-pretty') as typeof Pretty;
  return PinoPretty({
    ignore: 'pid,hostname,roles',
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
    sync: true,
    colorize: hasColour && process.stdout.isTTY,
  });
}
