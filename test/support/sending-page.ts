import { createClient, type Io } from '../../src/client/client.js';
import { createEnvironment, type Environment } from '../../src/client/environment.js';
import type { OutgoingEvent, SynapClient, SynapClientOptions } from '../../src/client/types.js';
import { ManualClock } from './manual-clock.js';

// A page that sends, with a server, a clock and a storage that the test has in its hands.

interface Posted {
  readonly body: { readonly eventId: string; readonly requestId: string; readonly data: unknown };
  readonly key: string;
}
export type Answer = (posted: Posted) => Response | Promise<Response>;

export const json = (status: number, body: unknown, type = 'application/json'): Response =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': type } });
export const accept: Answer = ({ body: { eventId, requestId } }) =>
  json(202, { eventId, requestId, correlationId: requestId, aggregateId: 'a', status: 'accepted' });
export const refuse =
  (status: number, code: string): Answer =>
  () =>
    json(status, { code, status, title: 'Played' }, 'application/problem+json');
export const portal: Answer = () =>
  new Response('<h1>Sign in to the Wi-Fi</h1>', { headers: { 'Content-Type': 'text/html' } });

export const tokenOf = (userId: string) => `x.${btoa(JSON.stringify({ sub: userId }))}.x`;
export const note = (title: string): OutgoingEvent => ({ type: 'note.creation.requested', data: { title } });
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const bytes = (text: string) => new TextEncoder().encode(text);

/** A room in which nothing happens: its first word, and a heartbeat now and then. */
function quietRoom(clock: ManualClock): Response {
  const ready = { room: 'r', epoch: null, seq: 0, at: '2026-01-01T00:00:00.000Z', expiresAt: null };
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(bytes(`event: ready\ndata: ${JSON.stringify(ready)}\n\n`));
      const beat = (): void => {
        controller.enqueue(bytes(':\n\n'));
        clock.after(10_000, beat);
      };
      clock.after(10_000, beat);
    },
  });
  return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
}

/**
 * What the server answers to the n-th post; the last answer stays.
 * @param connects whether Synap can be heard; where not, nothing but posting works: what is sent must not need a connection
 */
export function play(
  answers: Answer[],
  options: Partial<SynapClientOptions> = {},
  items = new Map<string, string>(),
  connects = false,
) {
  const clock = new ManualClock();
  const posted: Posted[] = [];
  const fetched: typeof fetch = async (url, init) => {
    const { pathname } = new URL(url);
    if (connects && pathname === '/v1/notifications') return json(200, {});
    if (connects && pathname === '/v1/notifications/stream') return quietRoom(clock);
    if (pathname !== '/v1/events') throw new TypeError('no network');
    const key = new Headers(init?.headers).get('Idempotency-Key') ?? '';
    posted.push({ body: JSON.parse(init?.body as string) as Posted['body'], key });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    return answer!(posted.at(-1)!);
  };
  const environment: Environment = {
    ...createEnvironment({
      getItem: (name) => items.get(name) ?? null,
      setItem: (name, value) => void items.set(name, value),
      removeItem: (name) => void items.delete(name),
    }),
    ...{ now: clock.now, after: (delayMs, run) => clock.after(delayMs, run), random: () => 1, fetch: fetched },
  };
  const noSockets = (() => undefined) as unknown as Io;
  const all = { url: 'http://synap', token: () => tokenOf('ada'), transport: 'stream', ...options } as const;
  const client: SynapClient = createClient(noSockets, all, environment);
  const errors: string[] = [];
  client.on('error', (error) => errors.push((error as { code?: string }).code ?? error.message));
  /** From now on. */
  const answer = (next: Answer) => void answers.splice(0, answers.length, next);
  return { client, clock, posted, items, errors, answer };
}

export const stored = (items: Map<string, string>) =>
  [...items].flatMap(([name, value]) => (name.startsWith('synap.unsent') ? [`${name.slice(13)} ${value}`] : []));

/** What became of it by now. */
export async function outcome(accepted: Promise<unknown>): Promise<string> {
  await turn();
  const told = accepted.then(
    () => 'accepted',
    (error: { code?: string }) => `refused: ${error.code}`,
  );
  return Promise.race([told, turn().then(() => 'waiting')]);
}
