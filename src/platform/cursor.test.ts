import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineCursor } from './cursor.js';
import { SynapError } from './errors.js';

const notes = defineCursor('notes', z.tuple([z.iso.datetime(), z.string()]));
const tasks = defineCursor('tasks', z.tuple([z.iso.datetime(), z.string()]));

describe('a cursor', () => {
  test('comes back as the position it was made from, and is safe in a URL', () => {
    const text = notes.encode(['2026-11-22T00:00:00.000Z', 'ä/+?']);
    expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(notes.decode(text)).toEqual(['2026-11-22T00:00:00.000Z', 'ä/+?']);
  });

  test.each([
    ['of another listing', tasks.encode(['2026-11-22T00:00:00.000Z', 'a'])],
    ['that is no base64url', '%%%'],
    ['that holds no JSON', Buffer.from('hello').toString('base64url')],
    ['of another form', Buffer.from('["notes",["yesterday","a"]]').toString('base64url')],
    ['that is empty', ''],
  ])('%s is refused as the fault of the parameter', (_what, text) => {
    let thrown: unknown;
    try {
      notes.decode(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(SynapError);
    expect(thrown).toMatchObject({ code: 'validation_failed', status: 400, faults: [{ path: 'cursor' }] });
  });
});
