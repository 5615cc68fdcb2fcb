import type { Findings } from './check.ts';
import type { EntryFact, Facts, HeardFact } from './facts.ts';

type Applied = Extract<HeardFact, { what: 'applied' }>;

/** What each user heard is what their room holds: all of it, in order, once. */
export function checkRooms(findings: Findings, { rooms, entries, heard }: Facts, isFaultless: boolean): void {
  const entriesOf = Map.groupBy(entries, ({ userId }) => userId);
  const heardBy = Map.groupBy(heard, ({ userId }) => userId);
  for (const { userId, lastSeq } of rooms) {
    const held = entriesOf.get(userId) ?? [];
    const lines = heardBy.get(userId) ?? [];
    checkNumbers(findings, userId, held, lastSeq);
    checkHeard(
      findings,
      userId,
      held,
      lines.filter((line): line is Applied => line.what === 'applied'),
    );
    for (const line of lines) {
      if (line.what === 'reset') findings.add('notification-gap', `${userId}: a reset`);
      if (isFaultless && line.what === 'repeated')
        findings.add('notification-repeat', `${userId}: frame ${line.seq} again`);
      if (isFaultless && line.what === 'skipped')
        findings.add('notification-gap', `${userId}: frame ${line.seq} too early`);
    }
  }
}

function checkNumbers(findings: Findings, userId: string, held: readonly EntryFact[], lastSeq: number): void {
  for (const [index, { seq }] of held.entries())
    if (seq !== index + 1)
      return findings.add('notification-gap', `${userId}: Postgres has ${seq} in the place of ${index + 1}`);
  if (held.length !== lastSeq) findings.add('notification-gap', `${userId}: Postgres has ${held.length} of ${lastSeq}`);
}

function checkHeard(findings: Findings, userId: string, held: readonly EntryFact[], applied: readonly Applied[]): void {
  const ids = new Set<string>();
  for (const [index, { seq, id }] of applied.entries()) {
    if (ids.has(id)) findings.add('notification-repeat', `${userId}: ${id} as ${seq}`);
    ids.add(id);
    if (seq !== index + 1) findings.add('notification-gap', `${userId}: heard ${seq} in the place of ${index + 1}`);
    else if (held[index]?.id !== id) findings.add('notification-gap', `${userId}: heard another one as ${seq}`);
  }
  if (applied.length < held.length)
    findings.add('notification-gap', `${userId}: heard ${applied.length} of ${held.length}`);
}
