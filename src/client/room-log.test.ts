import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { answered as answer, ModelRoom, modelTime as time, numbered as at } from '../../test/support/model-room.js';
import type { Subscribed, WireNotification } from '../realtime/contract.js';
import { RoomLog, type Outcome } from './room-log.js';

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
    expect(log.live(at(5))).toEqual({ apply: [], resync: false });
    expect(log.live(at(7))).toEqual({ apply: [], resync: true });
    expect(log.head).toEqual({ epoch: 'e1', seq: 5 });
  });

  test('what shows a gap is kept until what is before it has come', () => {
    const log = joinedAt(4);
    expect(log.live(at(6)).resync).toBe(true);
    expect(seqs(log.live(at(7)))).toEqual([]);
    expect(seqs(log.joined(answer(5, { notifications: [at(5)] })))).toEqual([5, 6, 7]);
  });

  test('what arrives while joining waits, and comes after the answer, once', () => {
    const log = joinedAt(2);
    log.joining();
    expect(seqs(log.live(at(4)))).toEqual([]);
    expect(seqs(log.live(at(5)))).toEqual([]);
    expect(seqs(log.joined(answer(4, { notifications: [at(3), at(4)] })))).toEqual([3, 4, 5]);
  });

  test('what an answer has that is known already is not shown again', () => {
    const log = joinedAt(2);
    log.joining();
    expect(seqs(log.joined(answer(4, { notifications: [at(1), at(2), at(3), at(4)] })))).toEqual([3, 4]);
  });

  test('a page that is not the last asks for the next, and live ones wait for the last', () => {
    const log = joinedAt(0);
    log.joining();
    log.live(at(5));
    const first = log.joined(answer(4, { notifications: [at(1), at(2)], hasMore: true }));
    expect([seqs(first), first.resync, log.since]).toEqual([[1, 2], true, { epoch: 'e1', seq: 2, at: time }]);
    expect(seqs(log.joined(answer(4, { notifications: [at(3), at(4)] })))).toEqual([3, 4, 5]);
  });

  test('a room that begins after it was joined is no gap, unless it begins beyond 1', () => {
    const log = new RoomLog();
    log.joined(answer(0, { epoch: null }));
    expect(log.live(at(2)).resync).toBe(true);
    expect(seqs(log.joined(answer(2, { notifications: [at(1), at(2)] })))).toEqual([1, 2]);
  });

  test('another epoch asks again, and is a reset where the server says so', () => {
    const log = joinedAt(3);
    expect(log.live(at(1, 'e2'))).toMatchObject({ apply: [], resync: true });
    const outcome = log.joined(answer(0, { epoch: 'e2', recovered: false, reset: 'epoch_changed' }));
    expect([outcome.reset, seqs(outcome)]).toEqual(['epoch_changed', [1]]);
  });

  test('a late frame of an older epoch is asked about once more, and then dropped', () => {
    const log = joinedAt(3);
    log.joining();
    log.joined(answer(1, { epoch: 'e2', recovered: false, reset: 'epoch_changed' }));
    expect(log.live(at(4))).toMatchObject({ apply: [], resync: true });
    expect(log.joined(answer(1, { epoch: 'e2' }))).toMatchObject({ apply: [], resync: true });
    expect(seqs(log.live(at(2, 'e2')))).toEqual([]);
    const second = log.joined(answer(1, { epoch: 'e2' }));
    expect([seqs(second), second.resync, log.head]).toEqual([[2], false, { epoch: 'e2', seq: 2 }]);
  });

  test('what is shown must be loaded at the first answer, and where the server could not give what was missed', () => {
    const log = new RoomLog();
    expect(log.joined(answer(4, { recovered: false })).reset).toBe('first');
    log.joining();
    expect(log.joined(answer(9, { recovered: false, reset: 'too_old' })).reset).toBe('too_old');
    log.joining();
    expect(log.joined(answer(9)).reset).toBeUndefined();
  });

  test('a silent loss at the end is seen by the newest seq', () => {
    const log = joinedAt(4);
    expect(log.isBehind({ epoch: 'e1', seq: 4 })).toBe(false);
    expect(log.isBehind({ epoch: 'e1', seq: 5 })).toBe(true);
    expect(log.isBehind({ epoch: 'e2', seq: 1 })).toBe(true);
    expect(log.isBehind({ epoch: null, seq: 0 })).toBe(false);
  });
});

/** The network between them: frames and answers are under way, and arrive, twice, late, or never, as the dice say. */
class Player {
  readonly model = new ModelRoom();
  readonly client = new RoomLog(undefined);
  readonly shown: string[] = [];
  #under: WireNotification[] = [];
  #old: WireNotification[] = [];
  #answer: Subscribed | undefined;
  #isConnected = true;
  #wantsJoin = false;

  readonly steps: readonly (() => void)[] = [
    () => this.#publish(),
    () => this.#publish(),
    () => this.#deliver(true),
    () => this.#deliver(true),
    () => this.#deliver(false),
    () => this.#lose(),
    () => this.#repeat(),
    () => this.#disconnect(),
    () => this.connect(),
    () => this.ask(2),
    () => this.receive(),
    () => this.receive(),
    () => this.model.log.length > 0 && this.#renew(),
    () => this.model.forget(2),
    () => this.#compare(),
  ];

  #publish(): void {
    const notification = this.model.publish();
    if (this.#isConnected) this.#under.push(notification);
  }

  #deliver(keepsOrder: boolean): void {
    const frame = keepsOrder ? this.#under.shift() : this.#under.pop();
    if (frame === undefined) return;
    this.#old.push(frame);
    this.#take(this.client.live(frame));
  }

  #lose(): void {
    this.#under.shift();
  }

  #repeat(): void {
    const frame = this.#old.at(-1);
    if (frame !== undefined) this.#take(this.client.live(frame));
  }

  #renew(): void {
    this.model.begin();
    this.#under = [];
  }

  #disconnect(): void {
    this.#isConnected = false;
    this.#under = [];
    this.#answer = undefined;
    this.client.joining();
  }

  #compare(): void {
    if (this.#isConnected && this.client.isBehind(this.model.head)) this.#join();
  }

  connect(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#join();
  }

  #join(): void {
    this.client.joining();
    this.#wantsJoin = true;
  }

  /** The server answers, and the answer is under way. One join at a time. */
  ask(pageSize: number): void {
    if (!this.#isConnected || this.#answer !== undefined) return;
    this.client.joining();
    this.#wantsJoin = false;
    this.#answer = this.model.answer(this.client.since, pageSize);
  }

  receive(): void {
    const { client } = this;
    const given = this.#answer;
    if (given === undefined) return;
    this.#answer = undefined;
    this.#take(client.joined(given));
  }

  #take({ reset, apply, resync }: Outcome): void {
    if (reset !== undefined) this.shown.push(`reset ${this.client.head?.epoch ?? 'none'}`);
    this.shown.push(...apply.map(({ id }) => id));
    if (resync) this.#join();
  }

  get isAtRest(): boolean {
    return !this.#wantsJoin && this.#answer === undefined;
  }

  /** A room that was lost and has nothing again is nothing to be at the end of. */
  get hasAll(): boolean {
    const { epoch, seq } = this.model.head;
    return epoch === null || (this.client.head?.epoch === epoch && this.client.head.seq === seq);
  }

  settle(): void {
    this.connect();
    for (let round = 0; round < 200; round += 1) {
      while (this.#under.length > 0) this.#deliver(true);
      this.#compare();
      if (round === 0 || this.#wantsJoin || this.#answer !== undefined) {
        this.ask(2);
        this.receive();
      }
    }
  }
}

/** Between two resets everything is next in line; what is not is a gap, a repetition, a step back or another epoch. */
function outOfOrder(shown: readonly string[]): string[] {
  return shown.filter((entry, index) => {
    const before = shown[index - 1];
    if (before === undefined || before.startsWith('reset') || entry.startsWith('reset')) return false;
    const [epoch, seq] = before.split('-');
    return entry !== `${epoch}-${Number(seq) + 1}`;
  });
}

describe('whatever the network does', () => {
  const scripts = fc.array(fc.nat({ max: 14 }), { minLength: 5, maxLength: 80 });

  test('a room is shown without gap, repetition or step back, and in the end all of it', () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const player = new Player();
        player.client.joining();
        for (const step of script) player.steps[step]?.();
        player.settle();
        expect(outOfOrder(player.shown)).toEqual([]);
        expect([player.hasAll, player.isAtRest]).toEqual([true, true]);
      }),
      { seed: 4, numRuns: 3_000 },
    );
  });

  test('without retention or a new epoch there is one reset, the first, and then every number from there to the end', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 11 }), { minLength: 5, maxLength: 80 }), (script) => {
        const player = new Player();
        player.ask(2);
        player.receive();
        for (const step of script) player.steps[step]?.();
        player.settle();
        const all = player.model.log.map(({ id }) => id);
        expect(player.shown.filter((entry) => entry.startsWith('reset'))).toHaveLength(1);
        expect(player.shown.slice(1)).toEqual(all);
      }),
      { seed: 5, numRuns: 3_000 },
    );
  });
});
