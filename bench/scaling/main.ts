import { createHash } from 'node:crypto';
import { Random } from '../random.ts';

// How evenly users fall on shards, and what a shard's queue does to latency at a given load: the simulation of docs/scaling.md.
// node --disable-warning=ExperimentalWarning bench/scaling/main.ts
const users = 200_000;
const events = 400_000;
const random = new Random(1);

/** Cumulated shares of users whose n-th sends 1/n^s of what the first one does. */
function sharesOf(exponent: number): Float64Array {
  const cumulated = new Float64Array(users);
  let sum = 0;
  for (let n = 0; n < users; n += 1) cumulated[n] = sum += 1 / (n + 1) ** exponent;
  return cumulated.map((share) => share / sum);
}

function pick(cumulated: Float64Array): number {
  const at = random.next();
  let [low, high] = [0, users - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cumulated[middle] ?? 1) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

const shardOf = (user: number, shards: number): number =>
  createHash('sha256').update(`user-${user}`).digest().readUInt32BE(0) % shards;

/** The busiest shard's share of the events over an even share. */
function imbalance(sent: Float64Array, shards: number): number {
  const load = new Float64Array(shards);
  for (const [user, count] of sent.entries()) {
    const shard = shardOf(user, shards);
    load[shard] = (load[shard] ?? 0) + count;
  }
  return Math.max(...load) / (events / shards);
}

/** How many events each user sends. */
function sentBy(exponent: number): Float64Array {
  const shares = sharesOf(exponent);
  const sent = new Float64Array(users);
  for (let n = 0; n < events; n += 1) {
    const user = pick(shares);
    sent[user] = (sent[user] ?? 0) + 1;
  }
  return sent;
}

/**
 * Poisson arrivals at one server that takes all that waits, up to 100, in one statement: group commit. A statement costs `fixed` and
 * `each` for every row, in ms. @returns p50 and p99 of the time from arrival to commit.
 */
function groupCommit(perSecond: number, fixed: number, each: number): readonly [p50: number, p99: number] {
  const waits: number[] = [];
  const waiting: number[] = [];
  const time = { next: 0, now: 0 };
  const arrive = (): void => {
    waiting.push(time.next);
    time.next += (-Math.log(1 - random.next()) * 1_000) / perSecond;
  };
  while (waits.length < 50_000) {
    if (waiting.length === 0) {
      time.now = Math.max(time.now, time.next);
      arrive();
    }
    while (time.next <= time.now) arrive();
    const batch = waiting.splice(0, 100);
    time.now += fixed + each * batch.length;
    for (const at of batch) waits.push(time.now - at);
    if (waiting.length > 20_000) return [Infinity, Infinity];
  }
  const sorted = waits.toSorted((a, b) => a - b);
  return [sorted[Math.floor(sorted.length * 0.5)] ?? 0, sorted[Math.floor(sorted.length * 0.99)] ?? 0];
}

const lines = ['| shards | users alike | 1/n^0.7 | 1/n |', '| --- | --- | --- | --- |'];
const kinds = [0, 0.7, 1].map((exponent) => sentBy(exponent));
for (const shards of [4, 16, 64, 256]) {
  const cells = kinds.map((sent) => imbalance(sent, shards).toFixed(2));
  lines.push(`| ${shards} | ${cells.join(' | ')} |`);
}
lines.push('', '| accepts/s of one lane | p50 ms | p99 ms |', '| --- | --- | --- |');
for (const perSecond of [100, 1_000, 5_000, 10_000, 15_000, 20_000]) {
  const [p50, p99] = groupCommit(perSecond, 1.5, 0.035);
  lines.push(`| ${perSecond.toLocaleString('en')} | ${p50.toFixed(1)} | ${p99.toFixed(1)} |`);
}
process.stdout.write(`${lines.join('\n')}\n`);
