import { describe, expect, test } from '@jest/globals';
import { objectPath, sanitizeName } from './names.js';

describe('the name of a file', () => {
  test.each([
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\me\\report.pdf', 'report.pdf'],
    ['..', 'file'],
    ['.htaccess', 'htaccess'],
    ['', 'file'],
    ['a\r\nSet-Cookie: b', 'aSet-Cookie: b'],
    ['gpj\u202Eexe.txt', 'gpjexe.txt'],
    ['Übersicht 2027.md', 'Übersicht 2027.md'],
    ['half \ud83d', 'half \ufffd'],
  ])('%j is kept as %j', (given, kept) => {
    expect(sanitizeName(given)).toBe(kept);
  });

  test('is cut before its extension', () => {
    expect(sanitizeName(`${'x'.repeat(500)}.pdf`)).toBe(`${'x'.repeat(196)}.pdf`);
  });
});

describe('the place of a file', () => {
  test('is below the user’s name where that is a plain one', () => {
    expect(objectPath('alice', 'f1', '.md')).toBe('alice/f1.md');
  });

  test.each(['..', '../alice', 'a/b', '', 'a b', '~1', 'é', 'x'.repeat(256)])(
    'is below a hash for the user %j',
    (userId) => {
      expect(objectPath(userId, 'f1')).toMatch(/^~[0-9a-f]{40}\/f1$/);
    },
  );
});
