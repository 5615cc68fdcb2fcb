import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { SyncedLog } from '../log.ts';
import { planRequests, type ClientSpec, type Planned } from './plan.ts';

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
    };

interface Answer {
  readonly status: number;
  readonly eventId?: string;
  readonly code?: string;
}

const repeatAfterMs = 250;

/** As a careful client does: whatever has no clear answer is sent again under the same key, to the next api. */
class Client {
  readonly #spec: ClientSpec;
  readonly #log: SyncedLog;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2_000 });
  readonly #lanes = new Map<string, Promise<boolean>>();
  #turn = 0;

  constructor(spec: ClientSpec) {
    this.#spec = spec;
    this.#log = new SyncedLog(spec.log);
  }

  /** Open loop: a slow answer never keeps the next request from being sent at its time. */
  async run(): Promise<void> {
    const planned = planRequests(this.#spec);
    const beganAt = performance.now();
    const sent: Promise<unknown>[] = [];
    for (const item of planned) {
      const waitMs = item.atMs - (performance.now() - beganAt);
      if (waitMs > 1) await delay(waitMs);
      sent.push(item.lane === undefined ? this.#send(item) : this.#sendInLane(item, item.lane));
    }
    await Promise.all(sent);
    this.#agent.destroy();
  }

  /** A lane's next request is sent when the one before it is accepted; where that is unknown, the lane ends. */
  #sendInLane(item: Planned, lane: string): Promise<boolean> {
    const before = this.#lanes.get(lane) ?? Promise.resolve(true);
    const sent = before.then((isAccepted) => isAccepted && this.#send(item));
    this.#lanes.set(lane, sent);
    return sent;
  }

  /** @returns whether it was accepted */
  async #send(item: Planned): Promise<boolean> {
    const { ref, userId, kind, body } = item;
    await this.#log.append({ what: 'intent', ref, userId, kind, type: body.type } satisfies ClientRecord);
    const payload = JSON.stringify(body);
    const copies = Array.from({ length: this.#spec.copies ?? 1 }, () => this.#persist(item, payload));
    return (await Promise.all(copies)).some((isAccepted) => isAccepted);
  }

  async #persist(item: Planned, payload: string): Promise<boolean> {
    const until = performance.now() + this.#spec.persistMs;
    for (;;) {
      const { status } = await this.#attempt(item, payload);
      if (status === 202) return true;
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
        text(response).then((body) => resolve(toAnswer(response.statusCode ?? 0, body)), reject);
      },
    );
    sent.once('error', reject);
    sent.end(payload);
    return promise;
  }
}

function toAnswer(status: number, body: string): Answer {
  const parsed = JSON.parse(body) as { eventId?: string; code?: string };
  if (parsed.eventId !== undefined) return { status, eventId: parsed.eventId };
  return parsed.code === undefined ? { status } : { status, code: parsed.code };
}

process.stdin.resume().once('end', () => process.exit(1));
await new Client(JSON.parse(process.argv[2] ?? '') as ClientSpec).run();
process.exit(0);
