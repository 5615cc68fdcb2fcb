import type { Bounds, Invariant, Scenario, Violation } from '../scenario.ts';
import type { EventFact, Facts } from './facts.ts';
import { toRequests, type RequestFact } from './requests.ts';
import { checkRooms, isOfUser } from './rooms.ts';
import { checkSurge } from './surge.ts';
import { checkTicks } from './ticks.ts';

/** Steps that leave a row, by event type. */
const effectSteps: Readonly<Record<string, readonly string[]>> = {
  'fault.work.requested': ['first', 'last'],
  'fault.echo.requested': ['echo'],
  'fault.ordered.requested': ['ordered'],
  'fault.poison.requested': ['first'],
};

/** What must end as a dead letter; `flaky` must not. */
const deadly: ReadonlySet<string> = new Set(['throw', 'refuse', 'loop', 'exit', 'hog']);
/** What must have been cancelled. */
const cancelled: ReadonlySet<string> = new Set(['endless']);
/** It dies once, is replayed and completes: its user is told of both. */
const replayed: ReadonlySet<string> = new Set(['curable']);
/** Its process may end before the first step is recorded, so its effect is not owed. */
const mayLackEffects: ReadonlySet<string> = new Set([...deadly, ...cancelled]);

export const usualBounds: Required<Bounds> = {
  callMs: 5_000,
  startMs: 2_000,
  toldMs: 5_000,
  drainMs: 45_000,
  memoryMb: 512,
};

/** The slowest start and the slowest call where nothing is wrong: what the machine itself needs. */
export interface Calm {
  readonly startMs: number;
  readonly toldMs: number;
  readonly callMs: number;
}

export function slowestOf(facts: Facts): Calm {
  const { events, client } = facts;
  return {
    toldMs: Math.max(0, ...toldAfter(facts)),
    startMs: Math.max(0, ...events.map(({ startedAt, dueAt }) => (startedAt ?? dueAt) - dueAt)),
    callMs: Math.max(0, ...[...toRequests(client).values()].map(({ longestMs }) => longestMs)),
  };
}

/** How long after its end, or after the fault, each job's user heard of it. */
function toldAfter({ events, heard, healedAt = 0 }: Facts): number[] {
  const ends = new Map(events.map(({ id, finishedAt }) => [id, finishedAt ?? 0]));
  return heard.flatMap((line) =>
    line.what === 'applied' ? [line.at - Math.max(ends.get(line.eventId) ?? line.at, healedAt)] : [],
  );
}

function boundsOf({ bounds }: Scenario, calm: Calm): Required<Bounds> {
  const own = { ...usualBounds, ...bounds };
  return {
    ...own,
    startMs: own.startMs + calm.startMs,
    toldMs: own.toldMs + calm.toldMs,
    callMs: own.callMs + calm.callMs,
  };
}

/** Gathers what is wrong under the name of the invariant. */
export class Findings {
  readonly #found = new Map<Invariant, { count: number; example: string }>();

  add(invariant: Invariant, example: string): void {
    const found = this.#found.get(invariant) ?? { count: 0, example };
    this.#found.set(invariant, { ...found, count: found.count + 1 });
  }

  get violations(): Violation[] {
    return [...this.#found].map(([invariant, { count, example }]) => ({ invariant, count, example }));
  }
}

/** All that must hold after every scenario, whatever was done to it. */
export function check(facts: Facts, scenario: Scenario, calm: Calm): Violation[] {
  const findings = new Findings();
  const requests = toRequests(facts.client);
  checkRequests(findings, requests, facts, scenario.load.surge !== undefined);
  checkEvents(findings, requests, facts);
  checkEffects(findings, requests, facts);
  checkSink(findings, requests, facts);
  checkEnds(findings, facts);
  checkOrder(findings, facts);
  const bounds = boundsOf(scenario, calm);
  checkTimes(findings, requests, facts, bounds);
  checkTicks(findings, facts, bounds.startMs);
  if (scenario.load.surge !== undefined) checkSurge(findings, facts, calm);
  checkRooms(findings, facts, scenario.isFaultless === true);
  if (scenario.isFaultless === true) checkClaims(findings, requests, facts);
  return findings.violations;
}

/** What was answered 202 is there, once, under the id that was told, and nobody is refused who should not be. */
function checkRequests(
  findings: Findings,
  requests: ReadonlyMap<string, RequestFact>,
  { events }: Facts,
  mayShed: boolean,
): void {
  const roots = Map.groupBy(
    events.filter(({ causationId }) => causationId === null),
    ({ requestId }) => requestId,
  );
  for (const { ref, fate, eventIds, kind, refusal } of requests.values()) {
    const found = roots.get(ref) ?? [];
    if (fate === 'accepted' && found.length === 0) findings.add('lost', ref);
    if (found.length > 1) findings.add('accepted-twice', `${ref}: ${found.map(({ id }) => id).join(', ')}`);
    if (eventIds.size > 1 || (found[0] !== undefined && eventIds.size === 1 && !eventIds.has(found[0].id)))
      findings.add('accepted-twice', `${ref} was told ${[...eventIds].join(', ')}`);
    if (fate === 'refused' && kind !== 'tooHuge') findings.add('refused', `${ref}: ${refusal}`);
    if (fate === 'shed' && !mayShed) findings.add('refused', `${ref} was shed`);
    if ((fate === 'refused' || fate === 'shed') && found.length > 0) findings.add('unexpected', `${ref} was refused`);
  }
}

/** Nothing is there that nobody asked for: roots come from the client, the rest from a finished event that causes it. */
function checkEvents(
  findings: Findings,
  requests: ReadonlyMap<string, RequestFact>,
  { events, effects, sink }: Facts,
): void {
  const byId = new Map(events.map((event) => [event.id, event]));
  const children = new Map<string, EventFact[]>();
  for (const event of events) {
    if (event.causationId === null) {
      if (!requests.has(event.requestId)) findings.add('unexpected', `event ${event.id}`);
      continue;
    }
    const cause = byId.get(event.causationId);
    if (cause?.state !== 'completed') findings.add('unexpected', `event ${event.id} of ${event.causationId}`);
    children.set(event.causationId, [...(children.get(event.causationId) ?? []), event]);
  }
  for (const event of events) {
    if (event.type !== 'fault.work.requested' || event.state !== 'completed') continue;
    const caused = children.get(event.id)?.length ?? 0;
    if (caused === 0) findings.add('lost', `what ${event.id} causes`);
    if (caused > 1) findings.add('two-ends', `${event.id} caused ${caused} events`);
  }
  for (const { eventId } of [...effects, ...sink])
    if (!byId.has(eventId)) findings.add('unexpected', `an effect of ${eventId}`);
}

function checkEffects(
  findings: Findings,
  requests: ReadonlyMap<string, RequestFact>,
  { events, effects }: Facts,
): void {
  const counts = countBy(effects, ({ eventId, step }) => `${eventId} ${step}`);
  for (const event of events) {
    for (const step of effectSteps[event.type] ?? []) {
      const count = counts.get(`${event.id} ${step}`) ?? 0;
      if (count > 1) findings.add('effects-twice', `${event.id} ${step}: ${count}`);
      const isOwed = event.state === 'completed' || !mayLackEffects.has(requests.get(event.requestId)?.kind ?? '');
      if (count === 0 && isOwed) findings.add('effects-missing', `${event.id} ${step}`);
    }
  }
}

/** The outside hears of each at least once, always under the one key. */
function checkSink(findings: Findings, requests: ReadonlyMap<string, RequestFact>, { events, sink }: Facts): void {
  const keys = Map.groupBy(sink, ({ eventId }) => eventId);
  for (const { id, type, requestId } of events) {
    if (type !== 'fault.work.requested' || !requests.has(requestId)) continue;
    const used = new Set((keys.get(id) ?? []).map(({ key }) => key));
    if (used.size === 0) findings.add('sink-missing', id);
    if (used.size > 1 || (used.size === 1 && !used.has(`${id}:sink`)))
      findings.add('sink-key-changed', [...used].join(', '));
  }
}

/** Each job has one end, the right one, and its user is told of it once. */
function checkEnds(findings: Findings, { events, entries, client }: Facts): void {
  const requests = toRequests(client);
  const told = countBy(entries.filter(isOfUser), ({ eventId }) => eventId);
  for (const event of events) {
    const { id, type, state, requestId, isDeadLetter } = event;
    const kind = type === 'fault.poison.requested' ? (requests.get(requestId)?.kind ?? '') : '';
    if (event.finishedAt === null) findings.add('no-end', `${id} is ${state}`);
    const count = told.get(id) ?? 0;
    if (count === 0 && event.finishedAt !== null) findings.add('no-end', `nobody was told of ${id}`);
    if (count > 1 && !replayed.has(kind)) findings.add('two-ends', `${id} was told ${count} times`);
    if (count !== 2 && replayed.has(kind)) findings.add('two-ends', `${id}, replayed, was told ${count} times`);
    if (event.finishedAt !== null && state !== endOf(kind))
      findings.add('dead-letters', `${kind || type} ${id} is ${state}`);
    if (isDeadLetter !== (state === 'dead'))
      findings.add('dead-letters', `${id} is ${state}, its dead letter is ${isDeadLetter ? '' : 'not '}there`);
  }
}

function endOf(kind: string): string {
  if (deadly.has(kind)) return 'dead';
  return cancelled.has(kind) ? 'cancelled' : 'completed';
}

/** Within a lane the effects stand in the order in which the client sent, each after the answer to the one before. */
function checkOrder(findings: Findings, { effects }: Facts): void {
  const lanes = Map.groupBy(
    effects.filter(({ lane }) => lane !== null),
    ({ lane }) => lane,
  );
  for (const [lane, places] of lanes) {
    for (const [index, { n }] of places.entries()) {
      const before = places[index - 1]?.n ?? 0;
      if ((n ?? 0) < before) findings.add('order', `${lane}: ${n} after ${before}`);
    }
  }
}

function checkTimes(
  findings: Findings,
  requests: ReadonlyMap<string, RequestFact>,
  facts: Facts,
  bounds: Required<Bounds>,
): void {
  for (const { ref, longestMs } of requests.values())
    if (longestMs > bounds.callMs) findings.add('hang', `${ref}: ${longestMs} ms`);
  for (const lateMs of toldAfter(facts))
    if (lateMs > bounds.toldMs) findings.add('told-late', `${Math.round(lateMs)} ms`);
  for (const { id, type, priority, dueAt, startedAt } of facts.events) {
    if (startedAt === null) continue;
    const lateMs = startedAt - Math.max(dueAt, facts.healedAt ?? 0);
    if (lateMs > bounds.startMs)
      findings.add('start-late', `${type} ${id}, priority ${priority}: ${Math.round(lateMs)} ms`);
  }
}

function checkClaims(findings: Findings, requests: ReadonlyMap<string, RequestFact>, { events }: Facts): void {
  for (const { id, fence, type, requestId } of events) {
    const kind = type === 'fault.poison.requested' ? requests.get(requestId)?.kind : undefined;
    if (fence > 1 && kind === undefined) findings.add('claim-without-fault', `${id} was claimed ${fence} times`);
  }
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}
