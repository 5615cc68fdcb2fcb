import { answer } from './answers.ts';
import { userOf } from './notices.ts';
import { RawClient } from './raw-client.ts';
import { sourceAddress } from './source-address.ts';

/**
 * A process of clients that come back, as synap/client does: connect, subscribe with what they have, buffer what comes live until the
 * answer, merge by number, ask again where a page was full.
 */

interface Seat {
  readonly user: string;
  readonly auth: object;
  client: RawClient | undefined;
  have: { readonly epoch: string; readonly seq: number } | undefined;
  /** What came live before the answer. */
  early: Notice[] | undefined;
  /** When it had all that it should have. */
  caughtUpAt: number | undefined;
}

interface Notice {
  readonly seq: number;
  readonly epoch: string;
}

interface Subscribed {
  readonly ok: boolean;
  readonly code?: string;
  readonly epoch: string | null;
  readonly seq: number;
  readonly reset?: string;
  readonly notifications: readonly Notice[];
  readonly hasMore?: boolean;
}

export interface ResumeRequest {
  readonly port: number;
  readonly atOnce: number;
  /** The number up to which each is to have everything. */
  readonly goal: number;
}

export interface Resumed {
  /** Of each client, from the first attempt of all to its last notification. */
  readonly ms: readonly number[];
  readonly lost: number;
  readonly disordered: number;
  readonly resets: number;
}

let seats: Seat[] = [];
let goal = 0;
let left = 0;
let all = Promise.withResolvers<void>();
let counts = { lost: 0, disordered: 0, resets: 0 };

function apply(seat: Seat, { seq, epoch }: Notice): void {
  const next = (seat.have?.seq ?? 0) + 1;
  if (seq < next) return;
  if (seq > next) counts.disordered += 1;
  seat.have = { epoch, seq };
  if (seq < goal || seat.caughtUpAt !== undefined) return;
  seat.caughtUpAt = performance.now();
  left -= 1;
  if (left === 0) all.resolve();
}

function onMessage(seat: Seat, bytes: Buffer): void {
  const text = bytes.toString();
  const [first, second] = JSON.parse(text.slice(text.indexOf('['))) as [unknown, unknown];
  if (text.startsWith('3')) return onSubscribed(seat, first as Subscribed);
  const notices = first === 'notification' ? [second] : first === 'notifications' ? second : [];
  for (const notice of notices as Notice[]) {
    if (seat.early === undefined) apply(seat, notice);
    else seat.early.push(notice);
  }
}

function onSubscribed(seat: Seat, answered: Subscribed): void {
  if (!answered.ok) throw new Error(`refused: ${answered.code}`);
  if (answered.reset !== undefined) counts.resets += 1;
  for (const notice of answered.notifications) apply(seat, notice);
  if (answered.hasMore === true) return subscribe(seat);
  for (const notice of seat.early ?? []) apply(seat, notice);
  seat.early = undefined;
  if (goal === 0 && seat.caughtUpAt === undefined) {
    seat.caughtUpAt = performance.now();
    left -= 1;
    if (left === 0) all.resolve();
  }
}

function subscribe(seat: Seat): void {
  const request = { room: `user_${seat.user}`, ...(seat.have !== undefined && { since: seat.have }), paged: true };
  seat.client?.emit(`20${JSON.stringify(['subscribe', request])}`);
}

async function come(seat: Seat, index: number, port: number): Promise<void> {
  seat.early = [];
  seat.caughtUpAt = undefined;
  seat.client = await RawClient.open({
    ...{ port, localAddress: sourceAddress(index), auth: seat.auth },
    onMessage: (bytes) => onMessage(seat, bytes),
    onLost: () => void (counts.lost += 1),
  });
  subscribe(seat);
}

/** All of them, so many at a time on their way to being let in. */
async function resume(request: ResumeRequest): Promise<Resumed> {
  goal = request.goal;
  left = seats.length;
  all = Promise.withResolvers();
  counts = { lost: 0, disordered: 0, resets: 0 };
  const startedAt = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < seats.length; index = next++) {
      const seat = seats[index];
      if (seat !== undefined) await come(seat, index, request.port);
    }
  };
  await Promise.all(Array.from({ length: request.atOnce }, lane));
  await all.promise;
  return { ms: seats.map(({ caughtUpAt = Infinity }) => caughtUpAt - startedAt), ...counts };
}

answer({
  seat(auths: readonly object[]): void {
    seats = auths.map((auth, index) => ({
      ...{ user: userOf(index), auth, client: undefined, have: undefined, early: undefined, caughtUpAt: undefined },
    }));
  },
  resume,
  /** Resolves when everybody has this number, told live. */
  async reach(seq: number): Promise<void> {
    goal = seq;
    const waiting = seats.filter(({ have }) => (have?.seq ?? 0) < seq);
    left = waiting.length;
    all = Promise.withResolvers();
    for (const seat of waiting) seat.caughtUpAt = undefined;
    if (left > 0) await all.promise;
  },
  cut(): void {
    for (const { client } of seats) client?.cut();
  },
});
