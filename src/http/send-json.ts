import type { Response } from 'express';

/** As res.json, without looking for what the API does not have: ETags, replacers, settings of the application. */
export function sendJson(res: Response, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  const bytes = Buffer.byteLength(text);
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.setHeader('Content-Length', bytes);
  // ASCII needs no encoding, and mostly it is.
  res.end(text, bytes === text.length ? 'latin1' : 'utf8');
}
