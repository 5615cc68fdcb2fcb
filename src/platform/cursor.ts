import { z } from 'zod';
import { SynapError } from './errors.js';
import type { Json } from './text.js';

/** Where a listing goes on: text that only the listing which wrote it can read. */
export interface Cursor<Position extends Json> {
  encode(position: Position): string;
  /** @throws SynapError `validation_failed` for text that `encode` of this listing did not write. */
  decode(text: string): Position;
}

/** The `cursor` query parameter of every listing. */
export const cursorSchema = z.string().min(1).max(1_000);

/** @param name the listing; a cursor of another one is refused instead of paging from nowhere. */
export function defineCursor<Position extends Json>(name: string, position: z.ZodType<Position>): Cursor<Position> {
  const form = z.tuple([z.literal(name), position]);
  return {
    encode: (at) => Buffer.from(JSON.stringify([name, at])).toString('base64url'),
    decode(text) {
      const read = form.safeParse(parseJson(Buffer.from(text, 'base64url').toString()));
      if (!read.success) throw foreign(name);
      return read.data[1];
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function foreign(name: string): SynapError {
  const message = 'is not a cursor that this listing gave out';
  return new SynapError('validation_failed', `a foreign cursor for ${name}`, {
    publicMessage: `cursor ${message}`,
    faults: [{ path: 'cursor', message }],
  });
}
