import { z } from 'zod';
import { CliError } from './cli-error.js';

const problemSchema = z.object({
  code: z.string(),
  title: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).default([]),
});

const acceptanceSchema = z.looseObject({
  eventId: z.string(),
  requestId: z.string(),
  correlationId: z.string(),
  aggregateId: z.string(),
  status: z.literal('accepted'),
});
export type Accepted = z.infer<typeof acceptanceSchema>;

export interface OutgoingEvent {
  readonly type: string;
  readonly data: unknown;
  readonly requestId: string;
  readonly priority?: string;
  readonly delayMs?: number;
}

/** @throws CliError with the server's own words and code */
export async function postEvent(url: string, token: string, event: OutgoingEvent): Promise<Accepted> {
  const response = await reach(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify(event),
  });
  const body: unknown = await response.json().catch(() => undefined);
  if (response.status !== 202) throw refused(response.status, body);
  return acceptanceSchema.parse(body);
}

const requestSchema = z.looseObject({
  requestId: z.string(),
  status: z.string(),
  jobs: z.array(z.looseObject({ type: z.string(), status: z.string() })),
});
export type CancelledRequest = z.infer<typeof requestSchema>;

/** @returns the request as it then is @throws CliError with the server's own words and code */
export async function cancelRequest(url: string, token: string, requestId: string): Promise<CancelledRequest> {
  const response = await reach(`${url}/v1/requests/${encodeURIComponent(requestId)}`, {
    method: 'DELETE',
    headers: { Authorization: `Bearer ${token}` },
  });
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw refused(response.status, body);
  return requestSchema.parse(body);
}

export interface AdminCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Behind /v1/admin. */
  readonly path: string;
  readonly body?: unknown;
}

/** A call of the operators' routes with a service's key. @throws CliError with the server's own words and code */
export async function callAdmin<Answer>(
  { url, apiKey }: { readonly url: string; readonly apiKey: string | undefined },
  { method, path, body }: AdminCall,
  answer: z.ZodType<Answer>,
): Promise<Answer> {
  if (apiKey === undefined) {
    throw new CliError(
      'no_key',
      'The key of operators is not known here.',
      'Set API_KEY to the one that Synap has, or to one with the scope "admin"; or start Synap with bin/start.',
    );
  }
  const response = await reach(`${url}/v1/admin${path}`, {
    method,
    headers: { 'X-API-Key': apiKey, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const received: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw refused(response.status, received, adminAdvice);
  return answer.parse(received);
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch {
    throw unreachable(url);
  }
}

export function unreachable(url: string): CliError {
  return new CliError(
    'unreachable',
    `Synap cannot be reached at ${new URL(url).origin}.`,
    'Start it with bin/start, or say where it is with --url.',
  );
}

const advice: Readonly<Record<string, string>> = {
  token_invalid: 'The token was signed with another secret; check JWT_SECRET, or pass --token.',
  token_expired: 'Make a new one with "synap token".',
  unknown_event_type: 'Event types read noun.noun.verb, such as note.creation.requested; docs/http-api.md lists them.',
  rate_limited: 'Wait a moment, or raise RATE_LIMIT_MAX.',
  not_found: 'Take the id from the answer of "synap send", and the user who sent it.',
  job_state_conflict: 'It has ended; GET /v1/requests/:requestId shows how.',
};

const adminAdvice: Readonly<Record<string, string>> = {
  token_invalid: 'Check API_KEY: it must be one that Synap knows.',
  forbidden: 'Use a key with the scope "admin".',
  job_expired: 'Look at what is left with "synap dead show"; to do it again, send the event anew.',
  replay_limit_reached: 'Look at it with "synap dead show"; --force replays it all the same.',
  not_found: 'Take the id from "synap dead list" or "synap operations".',
};

function refused(status: number, body: unknown, advise = advice): CliError {
  const parsed = problemSchema.safeParse(body);
  if (!parsed.success)
    return new CliError(
      'unexpected_answer',
      `The server answered ${status} and no reason.`,
      'Is this address a Synap? Say where it is with --url.',
    );
  const { code, title, detail, errors } = parsed.data;
  const faults = errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
  const hint = faults === '' ? (advise[code] ?? 'docs/errors.md explains every code.') : faults;
  return new CliError(code, `${detail ?? title} (${code})`, hint);
}
