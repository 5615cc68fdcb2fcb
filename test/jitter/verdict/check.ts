import type { Device, PlannedRoom } from '../plan.ts';
import type { Heard } from '../readers/record.ts';
import type { Facts, RoomLog } from './facts.ts';
import { historyOf } from './history.ts';

export const invariants = [
  // What was applied is not what Postgres has.
  'missing',
  'repeated',
  'reordered',
  'foreign',
  // The client as a whole said it twice or never.
  'told-wrong',
  'reset',
  'log-gap',
  // A device that is connected did not have everything in time.
  'late',
  'jobs',
  // A run in which the control lost nothing proves nothing.
  'control-lost-nothing',
  'control-heard-nothing',
  'plain-repeated',
  'plain-heard-nothing',
] as const;
export type Invariant = (typeof invariants)[number];

export interface Violation {
  readonly invariant: Invariant;
  readonly count: number;
  /** The first of them, with their history. */
  readonly examples: readonly string[];
}

export type Applied = Extract<Heard, { what: 'applied' }>;
const maxExamples = 3;

class Findings {
  readonly #found = new Map<Invariant, { count: number; examples: string[] }>();

  add(invariant: Invariant, example: string | (() => string)): void {
    const found = this.#found.get(invariant) ?? { count: 0, examples: [] };
    found.count += 1;
    if (found.examples.length < maxExamples) found.examples.push(typeof example === 'string' ? example : example());
    this.#found.set(invariant, found);
  }

  get violations(): Violation[] {
    return Array.from(this.#found, ([invariant, found]) => ({ invariant, ...found }));
  }
}

export function check(facts: Facts): Violation[] {
  const findings = new Findings();
  for (const [key, room] of facts.rooms) checkLog(findings, key, room);
  const heardBy = Map.groupBy(facts.heard, ({ device }) => device);
  for (const device of facts.plan.devices) {
    const heard = heardBy.get(device.index) ?? [];
    if (device.kind === 'synap') checkSynap(findings, facts, device, heard);
    if (device.kind === 'plain') checkPlain(findings, device, heard);
  }
  if (shareOf(facts, 'plain').got === 0) findings.add('plain-heard-nothing', 'nothing at all');
  checkControl(findings, facts);
  return findings.violations;
}

function checkLog(findings: Findings, key: string, { entries, lastSeq }: RoomLog): void {
  const isWhole = entries.length === lastSeq && entries.every(({ seq }, index) => seq === index + 1);
  if (!isWhole) findings.add('log-gap', `Postgres has ${entries.length} of ${lastSeq} of ${key}`);
}

function checkSynap(findings: Findings, facts: Facts, device: Device, heard: readonly Heard[]): void {
  const appliedIn = Map.groupBy(heard.filter(isApplied), ({ room }) => room);
  for (const room of device.rooms) checkRoom(findings, facts, device, room, appliedIn.get(room.name) ?? []);
  const told = heard.flatMap((line) => (line.what === 'told' ? [line.id] : []));
  const due = new Set(device.rooms.flatMap(({ key }) => facts.rooms.get(key)?.entries.map(({ id }) => id) ?? []));
  if (told.length !== due.size || told.some((id) => !due.has(id)))
    findings.add('told-wrong', `device ${device.index} told ${told.length} of ${due.size}`);
  for (const line of heard)
    if (line.what === 'reset')
      findings.add(
        'reset',
        () => `device ${device.index}, ${line.room}: ${line.reason}${historyOf(facts, device, line.at)}`,
      );
}

/** Each number in its place: what was applied is the log, in order, once. */
function checkRoom(
  findings: Findings,
  facts: Facts,
  device: Device,
  room: PlannedRoom,
  applied: readonly Applied[],
): void {
  const entries = facts.rooms.get(room.key)?.entries ?? [];
  const who = `device ${device.index}, ${room.name}`;
  const history = (at: number) => historyOf(facts, device, at, room);
  const seen = new Set<number>();
  let last = 0;
  for (const { seq, id, at } of applied) {
    if (entries[seq - 1]?.id !== id) findings.add('foreign', () => `${who}: ${id} as ${seq}${history(at)}`);
    else if (seen.has(seq)) findings.add('repeated', () => `${who}: ${seq}${history(at)}`);
    else if (seq < last) findings.add('reordered', () => `${who}: ${seq} after ${last}${history(at)}`);
    seen.add(seq);
    last = seq;
  }
  for (const { seq, committedAt } of entries)
    if (!seen.has(seq)) findings.add('missing', () => `${who}: ${seq} of ${entries.length}${history(committedAt)}`);
}

/** At most once for each connection, and in order. */
function checkPlain(findings: Findings, { index }: Device, heard: readonly Heard[]): void {
  const applied = heard.filter(isApplied);
  for (const [connection, lines] of Map.groupBy(applied, (line) => line.connection))
    for (const [at, { seq }] of lines.entries()) {
      const before = lines[at - 1]?.seq ?? 0;
      if (seq <= before)
        findings.add('plain-repeated', `device ${index}, connection ${connection}: ${seq} after ${before}`);
    }
}

function checkControl(findings: Findings, facts: Facts): void {
  const { due, got } = shareOf(facts, 'control');
  if (got === 0) findings.add('control-heard-nothing', 'nothing at all');
  else if (got >= due) findings.add('control-lost-nothing', `${got} of ${due}`);
}

export const isApplied = (line: Heard): line is Applied => line.what === 'applied';

/** Of what was committed to the rooms of these devices, what each of them got. */
export function shareOf(facts: Facts, kind: Device['kind']): { readonly due: number; readonly got: number } {
  const devices = facts.plan.devices.filter((device) => device.kind === kind);
  const heardBy = Map.groupBy(facts.heard.filter(isApplied), ({ device }) => device);
  const dueOf = ({ rooms }: Device) =>
    rooms.reduce((sum, { key }) => sum + (facts.rooms.get(key)?.entries.length ?? 0), 0);
  const gotBy = ({ index }: Device) => new Set(heardBy.get(index)?.map(({ room, seq }) => `${room} ${seq}`)).size;
  return {
    due: devices.reduce((sum, device) => sum + dueOf(device), 0),
    got: devices.reduce((sum, device) => sum + gotBy(device), 0),
  };
}
