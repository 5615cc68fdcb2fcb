import { z } from 'zod';

const hexOf = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const randomBytes = new Uint8Array(4_096);
let spent = randomBytes.length;
/** The last id's millisecond, as the beginning of its text, and the count within it: 26 bits that begin anew in their lowest quarter. */
let lastMs = 0;
let prefix = '';
let count = 0;
const highestCount = 2 ** 26 - 1;

/**
 * UUIDv7: ordered by time, so that primary keys are appended to and not scattered over their index; within one process each is
 * greater than the one before (RFC 9562, method 1). An event takes three: randomness is fetched for hundreds at once.
 */
export function newId(): string {
  if (spent + 9 > randomBytes.length) {
    crypto.getRandomValues(randomBytes);
    spent = 0;
  }
  const byte = (): number => randomBytes[spent++] ?? 0;
  const now = Date.now();
  if (now > lastMs || count === highestCount) {
    lastMs = Math.max(now, lastMs + 1);
    const hex = lastMs.toString(16).padStart(12, '0');
    prefix = `${hex.slice(0, 8)}-${hex.slice(8)}-7`;
    count = (byte() << 16) | (byte() << 8) | byte();
  } else count += 1;
  const high = (count >>> 14).toString(16).padStart(3, '0');
  const low = (0x8000 | (count & 0x3fff)).toString(16);
  let tail = '';
  for (let nth = 0; nth < 6; nth++) tail += hexOf[byte()] ?? '';
  return `${prefix}${high}-${low}-${tail}`;
}

/** The least UUIDv7 of that millisecond: what has such ids is found by time through its primary key. */
export function firstIdAt(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Ids that clients choose (request, correlation, aggregate): safe in a URL, a log line and a room name. */
export const clientIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._:-]{1,128}$/, 'must be 1 to 128 characters of A-Z a-z 0-9 . _ : -');
