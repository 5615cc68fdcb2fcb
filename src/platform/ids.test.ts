import { describe, expect, test } from '@jest/globals';
import { firstIdAt, newId } from './ids.js';

describe('new ids', () => {
  test('are UUIDv7 of the present millisecond, each greater than the one before, through many refills and milliseconds', () => {
    const before = Date.now();
    const ids = Array.from({ length: 50_000 }, newId);
    const after = Date.now();
    const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    expect(ids.filter((id) => !form.test(id))).toEqual([]);
    expect(ids.findIndex((id, nth) => nth > 0 && id <= String(ids[nth - 1]))).toBe(-1);
    expect(new Set(ids).size).toBe(ids.length);
    expect(String(ids[0]) >= firstIdAt(before)).toBe(true);
    expect(String(ids.at(-1)) < firstIdAt(after + 1)).toBe(true);
  });

  test('differ in what is random also where they share a millisecond', () => {
    const tails = Array.from({ length: 10_000 }, () => newId().slice(-12));
    expect(new Set(tails).size).toBe(tails.length);
  });
});
