import { describe, expect, test } from '@jest/globals';
import { RoomLog, type Outcome } from '../../../src/http/page/core/room-log.js';
import type { Subscribed, WireNotification } from '../../../src/realtime/contract.js';

const at = (seq: number, epoch = 'e1'): WireNotification => ({
  ...{ id: `${epoch}-${seq}`, type: 'probe.run.completed', data: {}, status: 'success' },
  ...{ timestamp: '2026-11-22T00:00:00.000Z', room: 'user_ada', seq, epoch },
});
const answer = (seq: number, more: Partial<Subscribed> = {}): Subscribed => ({
  ...{
    ok: true,
    at: '2026-11-22T00:00:00.000Z',
    room: 'user_ada',
    epoch: 'e1',
    seq,
    recovered: true,
    notifications: [],
  },
  ...more,
});
const seqs = ({ apply }: Outcome) => apply.map(({ seq }) => seq);

function joinedAt(seq: number): RoomLog {
  const log = new RoomLog();
  log.joined(answer(seq));
  return log;
}

describe('the order of a room', () => {
  test('the next one is applied, a known one is dropped, a gap asks for more', () => {
    const log = joinedAt(4);
    expect(seqs(log.live(at(5)))).toEqual([5]);
    expect(log.live(at(5))).toEqual({ apply: [], resync: false, stale: false });
    expect(log.live(at(7))).toEqual({ apply: [], resync: true, stale: false });
    expect(log.head).toEqual({ epoch: 'e1', seq: 5 });
  });

  test('what arrives while joining waits, and comes after the answer, once', () => {
    const log = joinedAt(2);
    log.joining();
    expect(seqs(log.live(at(4)))).toEqual([]);
    expect(seqs(log.live(at(5)))).toEqual([]);
    expect(seqs(log.joined(answer(4, { notifications: [at(3), at(4)] })))).toEqual([3, 4, 5]);
  });

  test('a gap behind the answer asks again', () => {
    const log = joinedAt(2);
    log.joining();
    log.live(at(6));
    expect(log.joined(answer(4, { notifications: [at(3), at(4)] }))).toMatchObject({ resync: true });
    expect(log.head?.seq).toBe(4);
  });

  test('a room that begins after it was joined is no gap', () => {
    const log = new RoomLog();
    log.joined(answer(0, { epoch: null }));
    expect(seqs(log.live(at(1)))).toEqual([1]);
  });

  test('a first notification beyond the first seq is a gap', () => {
    const log = new RoomLog();
    log.joined(answer(0, { epoch: null }));
    expect(log.live(at(2)).resync).toBe(true);
  });

  test('another epoch asks again', () => {
    expect(joinedAt(3).live(at(1, 'e2'))).toMatchObject({ apply: [], resync: true });
  });

  test('what was shown is stale at the first answer, and where the server could not give what was missed', () => {
    const log = new RoomLog();
    expect(log.joined(answer(4)).stale).toBe(true);
    log.joining();
    expect(log.joined(answer(9, { recovered: false })).stale).toBe(true);
    log.joining();
    expect(log.joined(answer(9, { recovered: false })).stale).toBe(false);
  });

  test('a silent loss at the end is seen by the newest seq', () => {
    const log = joinedAt(4);
    expect(log.isBehind({ epoch: 'e1', seq: 4 })).toBe(false);
    expect(log.isBehind({ epoch: 'e1', seq: 5 })).toBe(true);
    expect(log.isBehind({ epoch: 'e2', seq: 1 })).toBe(true);
    expect(log.isBehind({ epoch: null, seq: 0 })).toBe(false);
  });

  test('any interleaving of replay and live frames shows each once, in order', () => {
    const random = seeded(7);
    for (let round = 0; round < 300; round += 1) {
      const total = 1 + Math.floor(random() * 12);
      const shown = play(total, random);
      expect(shown).toEqual(Array.from({ length: total }, (_, index) => index + 1));
    }
  });
});

/** Frames 1..total arrive late, twice or not at all, while the client drops and joins again at random; a last join heals. */
function play(total: number, random: () => number): number[] {
  const log = new RoomLog();
  const shown: number[] = [];
  const take = (outcome: Outcome) => shown.push(...seqs(outcome));
  const join = (head: number) => {
    const since = log.head?.seq ?? 0;
    const missed = Array.from({ length: Math.max(0, head - since) }, (_, index) => at(since + index + 1));
    take(log.joined(answer(head, { epoch: head === 0 ? null : 'e1', notifications: missed })));
  };
  for (let head = 1; head <= total; head += 1) {
    const dice = random();
    if (dice < 0.3) log.joining();
    if (dice < 0.8) take(log.live(at(head)));
    if (dice < 0.2) take(log.live(at(head)));
    if (dice < 0.5) join(head);
  }
  log.joining();
  join(total);
  return shown;
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}
