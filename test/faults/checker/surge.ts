import type { ClientRecord } from '../client/main.ts';
import { isShed } from '../client/plan.ts';
import type { Calm, Findings } from './check.ts';
import type { Facts } from './facts.ts';

type Answer = Extract<ClientRecord, { what: 'answer' }>;

/** What a surge came to; rates are per second. */
interface SurgeMeasures {
  /** What was accepted of the burst before, of which some was shed. */
  readonly capacity: number;
  readonly offered: number;
  readonly accepted: number;
  readonly shed: readonly Answer[];
}

/** The offer is open-loop: one that falls behind its plan is no overload. */
const leastOffered = 1.25;
/** Of the capacity that goes on being accepted; what is turned away must not cost what could be done. */
const leastAccepted = 0.5;
const shedWithinMs = 1_000;

/** @returns undefined where no surge came about */
function measureSurge(client: readonly ClientRecord[]): SurgeMeasures | undefined {
  const surge = client.findLast((record) => record.what === 'surge');
  if (surge === undefined) return undefined;
  const sentAt = client.flatMap((record) => (record.what === 'attempt' && record.at >= surge.at ? [record.at] : []));
  const until = Math.max(surge.at, ...sentAt);
  const answers = client.filter((record): record is Answer => record.what === 'answer' && record.at >= surge.at);
  const acceptedAt = answers.filter(({ status }) => status === 202).map(({ at }) => at);
  const tookMs = Math.max(0, ...acceptedAt) - Math.min(...acceptedAt);
  return {
    capacity: surge.capacity,
    offered: sentAt.length / ((until - surge.at) / 1_000),
    accepted: tookMs > 0 ? (acceptedAt.length - 1) / (tookMs / 1_000) : 0,
    shed: answers.filter(({ code }) => isShed(code)),
  };
}

/** More than it can do was asked of it; it said so at once, and went on doing what it can. */
export function checkSurge(findings: Findings, { client }: Facts, calm: Calm): void {
  const measures = measureSurge(client);
  if (measures === undefined) return findings.add('fault-not-reached', 'there was no surge');
  const { capacity, offered, accepted, shed } = measures;
  if (offered < leastOffered * capacity)
    findings.add('fault-not-reached', `${Math.round(offered)}/s were sent of ${Math.round(capacity)}/s that it bears`);
  if (shed.length === 0) findings.add('shed-late', 'nothing was shed');
  for (const { ref, ms, code, retryAfterSeconds = 0 } of shed) {
    if (ms > shedWithinMs + calm.callMs) findings.add('shed-late', `${ref}: ${code} after ${ms} ms`);
    if (retryAfterSeconds <= 0) findings.add('shed-late', `${ref}: ${code} without Retry-After`);
  }
  if (accepted < leastAccepted * capacity)
    findings.add('shed-late', `${Math.round(accepted)}/s were accepted of ${Math.round(capacity)}/s that it bears`);
}

export function describeSurge(client: readonly ClientRecord[]): string[] {
  const measures = measureSurge(client);
  if (measures === undefined) return [];
  const { capacity, offered, accepted, shed } = measures;
  const slowestMs = Math.max(0, ...shed.map(({ ms }) => ms));
  const acceptedMs = client.flatMap((record) => (record.what === 'answer' && record.status === 202 ? [record.ms] : []));
  return [
    `bears ${Math.round(capacity)}/s; of ${Math.round(offered)}/s ${Math.round(accepted)}/s were accepted, the slowest in ${Math.max(0, ...acceptedMs)} ms; ${shed.length} were shed, the slowest in ${slowestMs} ms`,
  ];
}
