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
};

function refused(status: number, body: unknown): CliError {
  const parsed = problemSchema.safeParse(body);
  if (!parsed.success)
    return new CliError(
      'unexpected_answer',
      `The server answered ${status} and no reason.`,
      'Is this address a Synap? Say where it is with --url.',
    );
  const { code, title, detail, errors } = parsed.data;
  const faults = errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
  const hint = faults === '' ? (advice[code] ?? 'docs/errors.md explains every code.') : faults;
  return new CliError(code, `${detail ?? title} (${code})`, hint);
}
