import { describe, expect, test } from '@jest/globals';
import { decideContentType } from './content-type.js';

const png = Buffer.from('\x89PNG\r\n\x1a\n....', 'latin1');
const zip = Buffer.from('PK\x03\x04....', 'latin1');
const binary = Buffer.from([0, 1, 2, 3, 255]);
const text = Buffer.from('# Hello, Wörld\n');
const docx = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';

describe('the content type that is kept', () => {
  test.each([
    ['what the bytes are, whatever the client says', 'text/html', 'a.html', png, 'image/png'],
    ['never a picture that is none', 'image/png', 'a.png', text, 'text/plain'],
    ['never a picture of unknown bytes', 'image/png', 'a.png', binary, 'application/octet-stream'],
    ['never text that is none', 'text/plain', 'a.txt', binary, 'application/octet-stream'],
    ['the client’s text type, without its parameters', 'Text/Markdown; charset=utf-8', 'a.md', text, 'text/markdown'],
    ['by the name, where the client only says octet-stream', 'application/octet-stream', 'a.MD', text, 'text/markdown'],
    ['plain text, where nothing is known of a text', '', 'a', text, 'text/plain'],
    ['an office document, which is a zip file inside', docx, 'a.docx', zip, docx],
    ['a zip file that is called a page', 'text/html', 'a.html', zip, 'application/zip'],
    ['the client’s own binary type', 'application/x-thing', 'a', binary, 'application/x-thing'],
    ['octet-stream for what is no type', 'x\r\nSet-Cookie: a', 'a', binary, 'application/octet-stream'],
  ])('is %s', (_what, declared, name, head, kept) => {
    expect(decideContentType(declared, name, head)).toBe(kept);
  });

  test('does not fall for a character that the head cuts in two', () => {
    const cut = Buffer.from('ä'.repeat(10)).subarray(0, 19);
    expect(decideContentType('text/plain', 'a.txt', cut)).toBe('text/plain');
  });
});
