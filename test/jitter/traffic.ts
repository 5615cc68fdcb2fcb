import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClientSpec } from '../faults/client/plan.ts';
import { nextArrivalMs, pick, seededRandom } from '../faults/random.ts';
import { startChild } from '../faults/stack/child.ts';
import type { Stack } from '../faults/stack/stack.ts';
import type { Plan } from './plan.ts';

const broadcastsPerSecond = 5;
const repeatAfterMs = 200;
const callWithinMs = 5_000;
/** Longer than anything lasts that is done to the api's dependencies. */
const persistMs = 30_000;
const sender = path.join(import.meta.dirname, '../faults/client/main.ts');

/** The fault suite's client: sends the planned requests at their moments, and repeats what has no clear answer. */
export function startRequests(
  { load, prefix }: Plan,
  stack: Stack,
  tokens: Record<string, string>,
): Promise<ChildProcess> {
  const spec: ClientSpec = {
    ...load,
    prefix,
    tokens,
    apiUrls: stack.of('api').map(({ url }) => url),
    log: path.join(stack.directory, 'requests.jsonl'),
    timeoutMs: callWithinMs,
    persistMs,
  };
  return startChild(process.execPath, [sender, JSON.stringify(spec)], { stdio: ['pipe', 'inherit', 'inherit'] });
}

export async function untilSent(requests: ChildProcess): Promise<void> {
  if (requests.exitCode === null) await once(requests, 'exit');
}

/** What a trusted service does: tells users' rooms things at random moments. */
export class Broadcaster {
  readonly #stack: Stack;
  #count = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** Open loop. Resolves when all have been answered. */
  async run({ users, options: { seconds, seed } }: Plan): Promise<void> {
    const random = seededRandom(seed ^ 0x2f_2f_2f_2f);
    const until = performance.now() + seconds * 1_000;
    const sent: Promise<void>[] = [];
    for (;;) {
      const waitMs = nextArrivalMs(random, broadcastsPerSecond);
      const user = pick(random, users);
      if (performance.now() + waitMs > until) break;
      await delay(waitMs);
      sent.push(this.tell(user));
    }
    await Promise.all(sent);
  }

  /** Repeated until it is answered: then it is committed, maybe twice, which makes two notifications. */
  async tell(userId: string, requestId?: string): Promise<void> {
    const room = requestId === undefined ? `user_${userId}` : `request_${requestId}`;
    const body = JSON.stringify({ userId, type: 'jitter.broadcast', data: { n: (this.#count += 1) } });
    const until = performance.now() + persistMs;
    for (;;) {
      const status = await this.#post(room, body).catch(() => 0);
      if (status === 200) return;
      if ((status >= 400 && status < 500 && status !== 429) || performance.now() > until)
        throw new Error(`a broadcast was answered ${status}`);
      await delay(repeatAfterMs);
    }
  }

  async #post(room: string, body: string): Promise<number> {
    const apis = this.#stack.of('api');
    const { url } = apis[this.#count % apis.length] ?? this.#stack.one('api');
    const response = await fetch(`${url}/rooms/${room}/broadcast`, {
      method: 'POST',
      headers: { ...this.#stack.operatorHeaders, 'Content-Type': 'application/json' },
      body,
      signal: AbortSignal.timeout(callWithinMs),
    });
    await response.arrayBuffer();
    return response.status;
  }
}
