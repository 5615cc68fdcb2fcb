import type { Request, Response } from 'express';

export const elapsedMs = (req: Request): number => performance.now() - req.call.startedAt;

/** The pattern of the route and never the URL: ids in a label would make a time series each. */
export function routeOf(req: Request): string {
  if (req.call.area !== undefined) return req.call.area;
  const route = req.route as { readonly path: string } | undefined;
  return route?.path ?? 'unmatched';
}

/** 499 where the client left before the answer was written, as nginx says it. */
export function statusOf(res: Response): number {
  const isEndOfStream = res.req.call.isStream === true && res.headersSent;
  return res.writableFinished || isEndOfStream ? res.statusCode : 499;
}
