import type { Findings } from './check.ts';
import type { EntryFact, Facts, HeardFact } from './facts.ts';

type Applied = Extract<HeardFact, { what: 'applied' }>;

export const isOfUser = ({ room }: { readonly room: string }): boolean => room.startsWith('user_');

/** What each user heard is what their room holds, and a request's room holds its share: all of it, in order, once. */
export function checkRooms(findings: Findings, facts: Facts, isFaultless: boolean): void {
  const { rooms, entries, followed } = facts;
  const entriesOf = Map.groupBy(entries, ({ room }) => room);
  const heardIn = Map.groupBy(facts.heard, ({ room }) => room);
  for (const { room, lastSeq } of rooms) {
    const held = entriesOf.get(room) ?? [];
    checkNumbers(findings, room, held, lastSeq);
    if (!isOfUser({ room }) && !followed.has(room)) continue;
    const lines = heardIn.get(room) ?? [];
    checkHeard(
      findings,
      room,
      held,
      lines.filter((line): line is Applied => line.what === 'applied'),
    );
    checkLines(findings, room, lines, isFaultless);
  }
  checkShares(findings, entries);
}

function checkLines(findings: Findings, room: string, lines: readonly HeardFact[], isFaultless: boolean): void {
  for (const line of lines) {
    if (line.what === 'reset') findings.add('notification-gap', `${room}: a reset`);
    if (isFaultless && line.what === 'repeated')
      findings.add('notification-repeat', `${room}: frame ${line.seq} again`);
    if (isFaultless && line.what === 'skipped')
      findings.add('notification-gap', `${room}: frame ${line.seq} too early`);
  }
}

function checkNumbers(findings: Findings, room: string, held: readonly EntryFact[], lastSeq: number): void {
  for (const [index, { seq }] of held.entries())
    if (seq !== index + 1)
      return findings.add('notification-gap', `${room}: Postgres has ${seq} in the place of ${index + 1}`);
  if (held.length !== lastSeq) findings.add('notification-gap', `${room}: Postgres has ${held.length} of ${lastSeq}`);
}

/** What a user is told of a request stands in the room of that request too, once, and nothing else does. */
function checkShares(findings: Findings, entries: readonly EntryFact[]): void {
  const [ofUsers, ofRequests] = [new Map<string, string>(), new Set<string>()];
  for (const { room, id, requestId } of entries) {
    if (!isOfUser({ room })) {
      if (ofRequests.has(id)) findings.add('notification-repeat', `${room}: Postgres has ${id} twice`);
      ofRequests.add(id);
      if (room !== `request_${requestId}`) findings.add('notification-gap', `${room} holds ${id} of ${requestId}`);
    } else if (requestId !== null) ofUsers.set(id, requestId);
  }
  for (const [id, requestId] of ofUsers)
    if (!ofRequests.has(id)) findings.add('notification-gap', `request_${requestId}: Postgres lacks ${id}`);
  for (const id of ofRequests)
    if (!ofUsers.has(id)) findings.add('notification-gap', `${id} is in the room of a request and not in its user's`);
}

function checkHeard(findings: Findings, room: string, held: readonly EntryFact[], applied: readonly Applied[]): void {
  const ids = new Set<string>();
  for (const [index, { seq, id }] of applied.entries()) {
    if (ids.has(id)) findings.add('notification-repeat', `${room}: ${id} as ${seq}`);
    ids.add(id);
    if (seq !== index + 1) findings.add('notification-gap', `${room}: heard ${seq} in the place of ${index + 1}`);
    else if (held[index]?.id !== id) findings.add('notification-gap', `${room}: heard another one as ${seq}`);
  }
  if (applied.length < held.length)
    findings.add('notification-gap', `${room}: heard ${applied.length} of ${held.length}`);
}
