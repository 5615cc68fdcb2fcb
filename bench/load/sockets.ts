import { answer, progress } from './answers.ts';
import { RawClient } from './raw-client.ts';
import { sourceAddress } from './source-address.ts';

/** A process of listening clients: it connects them, counts what they are told, and checks that each gets its numbers in order, once. */

interface Seat {
  readonly index: number;
  client: RawClient | undefined;
  /** The last number that it was told. */
  seq: number;
}

export interface ConnectRequest {
  readonly port: number;
  readonly auths: readonly object[];
  readonly atOnce: number;
}

export interface Tally {
  readonly delivered: number;
  /** Numbers that were skipped, or told again. */
  readonly disordered: number;
  readonly lost: number;
}

const progressEveryMs = 4;
const seqMark = Buffer.from('"seq":');
const single = Buffer.from('2["notification",');
const batch = Buffer.from('2["notifications",');

const seats: Seat[] = [];
let delivered = 0;
let disordered = 0;
let lost = 0;
let told = 0;
let goal: { readonly count: number; readonly done: PromiseWithResolvers<number> } | undefined;

setInterval(() => {
  if (told === delivered) return;
  told = delivered;
  progress(delivered);
}, progressEveryMs);

function onMessage(seat: Seat, bytes: Buffer): void {
  const isSingle = startsWith(bytes, single);
  if (!isSingle && !startsWith(bytes, batch)) return;
  const seq = lastSeq(bytes);
  const fresh = seq - seat.seq;
  if (fresh <= 0 || (isSingle && fresh !== 1)) disordered += 1;
  delivered += Math.max(0, fresh);
  seat.seq = Math.max(seat.seq, seq);
  if (goal !== undefined && delivered >= goal.count) goal.done.resolve(performance.now());
}

const startsWith = (bytes: Buffer, start: Buffer): boolean =>
  bytes.compare(start, 0, start.length, 0, start.length) === 0;

/** What a notification ends with: its room, its number and its epoch. */
function lastSeq(bytes: Buffer): number {
  let seq = 0;
  for (let at = bytes.lastIndexOf(seqMark) + seqMark.length; ; at += 1) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return seq;
    seq = seq * 10 + digit;
  }
}

async function open({ port, auths, atOnce }: ConnectRequest): Promise<{ readonly ms: number }> {
  const first = seats.length;
  for (const index of auths.keys()) seats.push({ index: first + index, client: undefined, seq: 0 });
  const startedAt = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < auths.length; index = next++) {
      const seat = seats[first + index];
      if (seat !== undefined) seat.client = await openOne(seat, port, auths[index] ?? {});
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return { ms: performance.now() - startedAt };
}

function openOne(seat: Seat, port: number, auth: object): Promise<RawClient> {
  return RawClient.open({
    port,
    localAddress: sourceAddress(seat.index),
    auth,
    onMessage: (bytes) => onMessage(seat, bytes),
    onLost: () => void (lost += 1),
  });
}

answer({
  open,
  /** Resolves with the time that it took from now until so many more were delivered. */
  async await(count: number): Promise<{ readonly ms: number }> {
    const startedAt = performance.now();
    const done = Promise.withResolvers<number>();
    goal = { count: delivered + count, done };
    return { ms: (await done.promise) - startedAt };
  },
  tally: (): Tally => ({ delivered, disordered, lost }),
  close(): void {
    for (const { client } of seats.splice(0)) client?.cut();
    [delivered, disordered, lost, told] = [0, 0, 0, 0];
  },
});
