import { describe, expect, test } from '@jest/globals';
import { fingerprintOf } from './fingerprint.js';

interface Shape {
  readonly message?: string;
  readonly stack?: readonly string[];
  readonly name?: string;
  readonly cause?: unknown;
  readonly code?: string;
  readonly constraint?: string;
}

/** An error as thrown at `stack`, by default always at the same place. */
function errorOf({
  message = 'it broke',
  stack = ['at createNote (/app/src/notes.ts:1:2)'],
  name = 'Error',
  ...more
}: Shape) {
  const error = Object.assign(new Error(message), { name, ...more });
  error.stack = [`${name}: ${message}`, ...stack.map((frame) => `    ${frame}`)].join('\n');
  return error;
}
const print = (shape: Shape) => fingerprintOf(errorOf(shape));

describe('one fingerprint for messages that differ in', () => {
  test.each([
    ['numbers', 'row 17 of 20 is bad', 'row 4 of 9,000 is bad'.replace(',', '')],
    ['UUIDs', 'no note 0190a1b2-0000-7000-8000-000000000001', 'no note 5f0c7d3e-9a9b-4b7e-8b1a-cc00ff11ee22'],
    ['hex digests', 'commit 9f86d081884c7d65 is gone', 'commit 2c26b46b68ffc68f is gone'],
    ['short digests', 'commit 9f86d08 is gone', 'commit 2c26b46 is gone'],
    ['ULIDs and tokens', 'key 01ARZ3NDEKTSV4RRFFQ69G5FAV expired', 'key 01BX5ZZKBKACTAV9WEVGEMMVRZ expired'],
    ['addresses of memory', 'fault at 0x7ffee4', 'fault at 0x10fab'],
    ['double quotes', 'there is no "Buy milk" here', 'there is no "Walk the dog" here'],
    ['single quotes', "column 'a b' of 'c'", "column 'x' of 'y z'"],
    ['backticks', 'unknown `foo`', 'unknown `bar baz`'],
    ['paths', 'ENOENT: no such file, open /var/data/ada/1.md', 'ENOENT: no such file, open /srv/x/grace/notes/2.md'],
    ['paths of Windows', 'cannot open C:\\data\\ada.md', 'cannot open D:\\x\\y\\z.md'],
    ['URLs', 'GET https://api.example.com/v1/7?x=1 said 500', 'GET http://10.0.0.7:8080/other said 503'],
    ['e-mail addresses', 'no mailbox ada@example.com', 'no mailbox grace.hopper@navy.mil'],
    ['addresses of hosts', 'connect ECONNREFUSED 10.0.0.7:5432', 'connect ECONNREFUSED 127.0.0.1:6379'],
    ['times', 'not before 2026-01-02T03:04:05.678Z', 'not before 2027-11-12T13:14:15.000Z'],
  ])('%s', (_what, one, other) => {
    expect(print({ message: one })).toBe(print({ message: other }));
  });
});

describe('another fingerprint for', () => {
  test.each<[string, Shape, Shape]>([
    ['another message', { message: 'the disk is full' }, { message: 'the disk is slow' }],
    [
      "what stands between apostrophes that are none's quotes",
      { message: "can't read, won't" },
      { message: "can't write, won't" },
    ],
    ['another type', { name: 'TypeError' }, { name: 'RangeError' }],
    ['another code', { code: '23505' }, { code: '23503' }],
    ['another constraint', { code: '23505', constraint: 'a_pkey' }, { code: '23505', constraint: 'b_pkey' }],
    ['another cause', { cause: errorOf({ message: 'timeout' }) }, { cause: errorOf({ message: 'refused' }) }],
    ['no cause', { cause: errorOf({ message: 'timeout' }) }, {}],
    ['another function', {}, { stack: ['at createTask (/app/src/notes.ts:1:2)'] }],
    ['another file', {}, { stack: ['at createNote (/app/src/tasks.ts:1:2)'] }],
  ])('%s', (_what, one, other) => {
    expect(print(one)).not.toBe(print(other));
  });
});

describe('the place', () => {
  const own = 'at insertNote (/app/src/features/notes/projection.ts:40:3)';

  test('is the innermost frame of own code: what a library or Node is called inside may change', () => {
    const through = (library: string) => print({ stack: [library, 'at node:internal/process/task_queues:95:5', own] });
    expect(through('at Client.query (/app/node_modules/pg/lib/client.js:545:17)')).toBe(
      through('at async Pool.run (/app/node_modules/other/index.js:1:1)'),
    );
    expect(through('at x (/app/node_modules/pg/y.js:1:1)')).toBe(print({ stack: [own] }));
  });

  test.each([
    ['another line', 'at insertNote (/app/src/features/notes/projection.ts:99:12)'],
    ['another directory', 'at insertNote (/home/ada/synap/src/features/notes/projection.ts:40:3)'],
    ['the built file', 'at insertNote (file:///app/dist/features/notes/projection.js:31:9)'],
    ['an asynchronous frame', 'at async insertNote (/app/src/features/notes/projection.ts:40:3)'],
  ])('is the same for %s', (_what, frame) => {
    expect(print({ stack: [frame] })).toBe(print({ stack: [own] }));
  });

  test('is not read out of the message', () => {
    const message = 'upstream said:\n    at evil (/app/src/evil.ts:1:1)';
    expect(print({ message, stack: [own] })).not.toBe(print({ message, stack: ['at other (/app/src/other.ts:1:1)'] }));
  });

  test('is of the library where own code does not appear', () => {
    const inside = (line: number) => print({ stack: [`at parse (/app/node_modules/pg/lib/parser.js:${line}:1)`] });
    expect(inside(1)).toBe(inside(2));
    expect(inside(1)).not.toBe(print({ stack: ['at parse (/app/node_modules/redis/parser.js:1:1)'] }));
  });
});

test('an error that causes itself has one too, and one without a stack', () => {
  const loop = errorOf({});
  loop.cause = loop;
  expect(fingerprintOf(loop)).toMatch(/^[\da-f]{16}$/);
  const bare = new Error('x');
  delete bare.stack;
  expect(fingerprintOf(bare)).toMatch(/^[\da-f]{16}$/);
});

test('hostile messages cost no time', () => {
  const startedAt = performance.now();
  for (const part of ['a', '"', "'", '/a', '1', 'a@', 'a.', '-', ' ', '\\', 'f0', 'http://', '.'])
    print({ message: part.repeat(100_000) });
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});
