import { createHash } from 'node:crypto';

/** What is read of one error of a chain; a message may be a whole answer of some service. */
const longestMessage = 1_000;
const longestChain = 4;

/**
 * The same for errors of the same kind at the same place, whatever ids, numbers, names and paths they mention: type, code,
 * place and message without what varies, of the error and of what caused it. 16 hex digits.
 */
export function fingerprintOf(error: Error): string {
  const parts: string[] = [];
  const seen = new Set<unknown>();
  for (let cause: unknown = error; cause instanceof Error && !seen.has(cause) && seen.size < longestChain;) {
    seen.add(cause);
    parts.push(cause.name, codeOf(cause), placeOf(cause), normalise(cause.message));
    ({ cause } = cause);
  }
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** `23505`, `ECONNREFUSED`, and which constraint: their names are not among the quoted words that vary. */
function codeOf(error: Error): string {
  const named = 'code' in error ? error.code : undefined;
  const constraint = 'constraint' in error ? error.constraint : undefined;
  return [named, constraint].filter((part) => typeof part === 'string').join(' ');
}

/** The order counts: what contains digits or slashes goes before digits and paths. Each is linear in the text. */
const varying: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/\b[a-z][a-z\d+.-]{1,20}:\/\/[^\s"'<>)\]]+/gi, '<url>'],
  [/(?<!\w)(["'`])(?:(?!\1)[^\n])*\1(?!\w)/g, '<text>'],
  [/[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+/g, '<address>'],
  [/\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b/gi, '<id>'],
  [/(?<![\w.])(?:[a-z]:|~|\.{1,2})?(?:[/\\][\w.@%+-]+){2,}[/\\]?/gi, '<path>'],
  // Digests, ULIDs, tokens: long, and letters and digits mixed.
  [/\b0x[\da-f]+\b/gi, '<id>'],
  [/\b(?=[\da-f]*\d)(?=[\da-f]*[a-f])[\da-f]{7,}\b/gi, '<id>'],
  [/\b(?=[a-z_-]*\d)[\w-]{16,}\b/gi, '<id>'],
  [/\d+/g, '<n>'],
  [/\s+/g, ' '],
];

function normalise(message: string): string {
  return varying
    .reduce((text, [pattern, name]) => text.replace(pattern, name), message.slice(0, longestMessage))
    .trim();
}

/**
 * Function and file of the innermost frame in the program's own code; where there is none, of the innermost at all. Lines move
 * with every release and directories with every machine, so neither counts.
 */
function placeOf({ name, message, stack = '' }: Error): string {
  // The message stands before the frames and may hold anything.
  const head = `${name}: ${message}`;
  const frames = (stack.startsWith(head) ? stack.slice(head.length) : stack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .map((line) => line.replace(/^\s+at (?:async )?/, ''));
  const own = frames.find((frame) => !/node_modules|\bnode:|<anonymous>\)?$|\bnative\b/.test(frame));
  return (own ?? frames[0] ?? '')
    .replace(/:\d+:\d+\)?$/, '')
    .replace(/(?:file:\/\/)?[^\s(]*[/\\](?:src|dist|node_modules)[/\\]/, '')
    .replace(/\.[cm]?[jt]sx?$/, '');
}
