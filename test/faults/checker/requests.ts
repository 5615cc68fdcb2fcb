import type { ClientRecord } from '../client/main.ts';
import { isShed, type Kind } from '../client/plan.ts';

/** What a client knows of one of its requests. */
export interface RequestFact {
  readonly ref: string;
  readonly userId: string;
  readonly kind: Kind;
  readonly type: string;
  /** `shed`: each of its attempts was turned away at the door. `maybe`: none of them got a clear answer. */
  readonly fate: 'accepted' | 'refused' | 'shed' | 'maybe';
  /** The ids it was told; one, where all is well. */
  readonly eventIds: ReadonlySet<string>;
  readonly longestMs: number;
  readonly attempts: number;
  readonly refusal: string;
}

/** The client's log, request by request. */
export function toRequests(records: readonly ClientRecord[]): Map<string, RequestFact> {
  const byRef = Map.groupBy(
    records.filter((record) => record.what !== 'surge'),
    ({ ref }) => ref,
  );
  const facts = new Map<string, RequestFact>();
  for (const [ref, lines] of byRef) {
    const intent = lines.find((line) => line.what === 'intent');
    if (intent === undefined) continue;
    const answers = lines.filter((line) => line.what === 'answer');
    const refusals = answers.filter(({ status }) => status >= 400 && status < 500 && status !== 429);
    facts.set(ref, {
      ref,
      userId: intent.userId,
      kind: intent.kind,
      type: intent.type,
      fate: fateOf(answers, refusals.length > 0),
      eventIds: new Set(answers.flatMap(({ eventId }) => (eventId === undefined ? [] : [eventId]))),
      longestMs: Math.max(0, ...answers.map(({ ms }) => ms)),
      attempts: lines.filter((line) => line.what === 'attempt').length,
      refusal: refusals.map(({ status, code }) => `${status} ${code ?? ''}`).join(', '),
    });
  }
  return facts;
}

function fateOf(
  answers: readonly { readonly status: number; readonly code?: string }[],
  isRefused: boolean,
): RequestFact['fate'] {
  if (answers.some(({ status }) => status === 202)) return 'accepted';
  if (isRefused) return 'refused';
  return answers.length > 0 && answers.every(({ code }) => isShed(code)) ? 'shed' : 'maybe';
}
