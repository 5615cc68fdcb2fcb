import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { SyncedLog } from '../log.ts';
import { isShed, planRequests, type ClientSpec, type Planned, type Surge } from './plan.ts';

/** What the client writes down, each before it goes on. Times are milliseconds since the epoch. */
export type ClientRecord =
  | {
      readonly what: 'intent';
      readonly ref: string;
      readonly userId: string;
      readonly kind: Planned['kind'];
      readonly type: string;
    }
  | { readonly what: 'attempt'; readonly ref: string; readonly at: number }
  | {
      readonly what: 'answer';
      readonly ref: string;
      readonly at: number;
      readonly ms: number;
      /** 0: no answer. */
      readonly status: number;
      readonly eventId?: string;
      readonly code?: string;
      readonly retryAfterSeconds?: number;
    }
  /** From here on, so many a second are sent: `factor` times what was answered 202 before. */
  | { readonly what: 'surge'; readonly at: number; readonly capacity: number; readonly perSecond: number };

interface Answer {
  readonly status: number;
  readonly eventId?: string;
  readonly code?: string;
  readonly retryAfterSeconds?: number;
}

interface Burst {
  readonly capacity: number;
  readonly hasShed: boolean;
  readonly isLate: boolean;
}

const repeatAfterMs = 250;
/** A surge has an end on any machine: from 150/s and half as much again each time, this is 1,700/s. */
const mostRounds = 7;
const mostSurges = 2;
/** Three times what a statement takes; what takes longer was waiting for others. */
const inTimeMs = 3_000;
/** Of what was accepted; less is shed by a moment in which the machine did something else. */
const noticeable = 0.05;

/** As a careful client does: whatever has no clear answer is sent again under the same key, to the next api. */
class Client {
  readonly #spec: ClientSpec;
  readonly #log: SyncedLog;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2_000 });
  readonly #lanes = new Map<string, Promise<boolean>>();
  /** Of this burst: when each was accepted, how many were shed, and what the slowest answer took. */
  #accepted: number[] = [];
  #shed = 0;
  #slowestMs = 0;
  #turn = 0;
  #bursts = 0;

  constructor(spec: ClientSpec) {
    this.#spec = spec;
    this.#log = new SyncedLog(spec.log);
  }

  async run(): Promise<void> {
    const { surge } = this.#spec;
    await (surge === undefined ? this.#send(planRequests(this.#spec)) : this.#surge(surge));
    this.#agent.destroy();
  }

  /**
   * More and more, until some of it is shed or too late: then what was accepted is all that can be borne, and more than that is sent, for
   * as long as the load says. Where none of that is shed, the machine may have had other work before, and is measured once more.
   */
  async #surge({ from, factor, burstSeconds }: Surge): Promise<void> {
    const { seconds } = this.#spec;
    let perSecond = from;
    let surges = 0;
    for (let round = 1; round <= mostRounds && surges < mostSurges; round += 1) {
      const { capacity, hasShed, isLate } = await this.#burst(perSecond, burstSeconds);
      const isBorne = !hasShed && !isLate;
      perSecond = (isBorne ? Math.max(perSecond, capacity) : capacity) * factor;
      if (isBorne) continue;
      surges += 1;
      await this.#log.append({ what: 'surge', at: Date.now(), capacity, perSecond } satisfies ClientRecord);
      const surge = await this.#burst(perSecond, seconds);
      if (surge.hasShed) return;
    }
  }

  /** `capacity`: how many a second were accepted, from the first of their answers to the last. */
  async #burst(perSecond: number, seconds: number): Promise<Burst> {
    const { prefix, seed } = this.#spec;
    const nth = (this.#bursts += 1);
    this.#accepted = [];
    this.#shed = 0;
    this.#slowestMs = 0;
    const spec = { ...this.#spec, seed: seed + nth, prefix: `${prefix}-b${nth}`, perSecond, seconds };
    await this.#send(planRequests(spec));
    const { length } = this.#accepted;
    const tookMs = (this.#accepted.at(-1) ?? 0) - (this.#accepted[0] ?? 0);
    return {
      capacity: tookMs === 0 ? 0 : (length - 1) / (tookMs / 1_000),
      hasShed: this.#shed > length * noticeable,
      isLate: this.#slowestMs > inTimeMs,
    };
  }

  /** Open loop: a slow answer never keeps the next request from being sent at its time. */
  async #send(planned: readonly Planned[]): Promise<void> {
    const beganAt = performance.now();
    const sent: Promise<unknown>[] = [];
    for (const item of planned) {
      const waitMs = item.atMs - (performance.now() - beganAt);
      if (waitMs > 1) await delay(waitMs);
      sent.push(item.lane === undefined ? this.#sendOne(item) : this.#sendInLane(item, item.lane));
    }
    await Promise.all(sent);
  }

  /** A lane's next request is sent when the one before it is accepted; where that is unknown, the lane ends. */
  #sendInLane(item: Planned, lane: string): Promise<boolean> {
    const before = this.#lanes.get(lane) ?? Promise.resolve(true);
    const sent = before.then((isAccepted) => isAccepted && this.#sendOne(item));
    this.#lanes.set(lane, sent);
    return sent;
  }

  /** @returns whether it was accepted */
  async #sendOne(item: Planned): Promise<boolean> {
    const { ref, userId, kind, body } = item;
    await this.#log.append({ what: 'intent', ref, userId, kind, type: body.type } satisfies ClientRecord);
    const payload = JSON.stringify(body);
    const copies = Array.from({ length: this.#spec.copies ?? 1 }, () => this.#persist(item, payload));
    return (await Promise.all(copies)).some((isAccepted) => isAccepted);
  }

  async #persist(item: Planned, payload: string): Promise<boolean> {
    const until = performance.now() + this.#spec.persistMs;
    for (;;) {
      const { status, code } = await this.#attempt(item, payload);
      if (status === 202) {
        this.#accepted.push(performance.now());
        return true;
      }
      // Who would repeat what a surge has shed would measure its own repetitions.
      if (this.#spec.surge !== undefined && isShed(code)) {
        this.#shed += 1;
        return false;
      }
      if (status >= 400 && status < 500 && status !== 429) return false;
      if (performance.now() > until) return false;
      await delay(repeatAfterMs);
    }
  }

  async #attempt({ ref, userId }: Planned, payload: string): Promise<Answer> {
    await this.#log.append({ what: 'attempt', ref, at: Date.now() } satisfies ClientRecord);
    const beganAt = performance.now();
    const answer = await this.#post(ref, userId, payload).catch((): Answer => ({ status: 0 }));
    const ms = Math.round(performance.now() - beganAt);
    this.#slowestMs = Math.max(this.#slowestMs, ms);
    await this.#log.append({ what: 'answer', ref, at: Date.now(), ms, ...answer } satisfies ClientRecord);
    return answer;
  }

  async #post(ref: string, userId: string, payload: string): Promise<Answer> {
    const { apiUrls, tokens, timeoutMs } = this.#spec;
    const url = apiUrls[(this.#turn += 1) % apiUrls.length] ?? '';
    const signal = AbortSignal.timeout(timeoutMs);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const sent = request(
      `${url}/v1/events`,
      {
        method: 'POST',
        agent: this.#agent,
        signal,
        headers: {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(payload),
          Authorization: `Bearer ${tokens[userId] ?? ''}`,
          'Idempotency-Key': ref,
        },
      },
      (response) => {
        text(response).then((body) => resolve(toAnswer(response, body)), reject);
      },
    );
    sent.once('error', reject);
    sent.end(payload);
    return promise;
  }
}

function toAnswer({ statusCode: status = 0, headers }: IncomingMessage, body: string): Answer {
  const { eventId, code } = JSON.parse(body) as { eventId?: string; code?: string };
  if (eventId !== undefined) return { status, eventId };
  const seconds = headers['retry-after'];
  return { status, ...(code !== undefined && { code }), ...(seconds && { retryAfterSeconds: Number(seconds) }) };
}

process.stdin.resume().once('end', () => process.exit(1));
await new Client(JSON.parse(process.argv[2] ?? '') as ClientSpec).run();
process.exit(0);
