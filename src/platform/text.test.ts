import { expect, test } from '@jest/globals';
import { findUnstorable } from './text.js';

test.each([
  ['plain text, emoji and all', { a: ['x', { b: '\u{1F600}' }], n: 1, none: null }, undefined],
  ['U+0000 deep inside', { a: ['x', { b: 'y\u0000' }] }, 'a.1.b'],
  ['a lone surrogate', { a: '\udc00' }, 'a'],
  ['a key', { 'a\u0000': 1 }, 'a key'],
  ['a key deep inside', { a: { 'b\u0000': 1 } }, 'a, a key'],
])('what Postgres cannot store is found: %s', (_what, value, path) => {
  expect(findUnstorable(value)).toBe(path);
});
