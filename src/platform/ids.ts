import { v7 } from 'uuid';
import { z } from 'zod';

/** UUIDv7: ordered by time, so that primary keys are appended to and not scattered over their index. */
export const newId = (): string => v7();

/** The least UUIDv7 of that millisecond: what has such ids is found by time through its primary key. */
export function firstIdAt(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Ids that clients choose (request, correlation, aggregate): safe in a URL, a log line and a room name. */
export const clientIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._:-]{1,128}$/, 'must be 1 to 128 characters of A-Z a-z 0-9 . _ : -');
