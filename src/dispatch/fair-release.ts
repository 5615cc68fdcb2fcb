import { priorities } from '../queues/priorities.js';
import type { Runnable } from '../queues/ticket.js';
import type { Outbox } from './outbox.js';
import { roundSize, type Credits } from './queue-window.js';

/** Of each round, strictly the oldest rows whatever their user and priority: nothing starves. */
const oldestShare = 0.2;
/** Users who get a part of one round; the next round goes on behind them. */
const usersPerRound = 250;
const delaysPerRound = 5_000;

/**
 * Chooses from more due rows than there is room for. First a share that is strictly oldest; the rest goes to high before normal before
 * low, and within a priority round and round over the users, oldest first for each. So a user with one event waits for
 * one turn of the users, not for another user's hundred thousand.
 */
export class FairRelease {
  readonly #outbox: Outbox;
  /** The user each queue and priority went on to last. Kept in memory: another process or a restart just begins elsewhere. */
  readonly #cursors = new Map<string, string>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Leases as much as one round and the credits allow; may be less than there is. */
  async lease(queue: string, credits: Credits): Promise<Runnable[]> {
    const left = { high: credits.high, other: credits.other, all: Math.min(credits.all, roundSize) };
    const leased: Runnable[] = [];
    const take = (rows: readonly Runnable[]) => {
      for (const row of rows) {
        leased.push(row);
        left[row.priority <= priorities.high ? 'high' : 'other']--;
        left.all--;
      }
    };
    await this.#outbox.keepDelays(queue, delaysPerRound);
    const oldest = Math.ceil(Math.min(left.other, left.all) * oldestShare);
    if (oldest > 0) take(await this.#outbox.lease(new Map([[queue, oldest]])));
    for (const priority of Object.values(priorities)) {
      const room = Math.min(left.all, priority === priorities.high ? left.high : left.other);
      if (room > 0) take(await this.#leaseInTurn(queue, priority, room));
    }
    return leased;
  }

  async #leaseInTurn(queue: string, priority: number, room: number): Promise<Runnable[]> {
    const users = await this.#nextUsers(queue, priority, Math.min(room, usersPerRound));
    if (users.length === 0) return [];
    return inTurn(await this.#outbox.leaseOf(queue, priority, users, Math.floor(room / users.length)));
  }

  /** Those behind the last one, and then from the beginning. */
  async #nextUsers(queue: string, priority: number, limit: number): Promise<string[]> {
    const turn = `${queue} ${priority}`;
    const last = this.#cursors.get(turn) ?? '';
    const users = new Set(await this.#outbox.users(queue, priority, last, limit));
    if (users.size < limit && last !== '') {
      for (const user of await this.#outbox.users(queue, priority, '', limit - users.size)) users.add(user);
    }
    this.#cursors.set(turn, [...users].at(-1) ?? '');
    return [...users];
  }
}

/** The oldest of each user, then the second of each, and so on: the queue runs them in this order. */
function inTurn(rows: readonly Runnable[]): Runnable[] {
  const turnOf = new Map<string, number>();
  const turns = rows.map((row) => {
    const turn = turnOf.get(row.data.userId) ?? 0;
    turnOf.set(row.data.userId, turn + 1);
    return { row, turn };
  });
  return turns.toSorted((a, b) => a.turn - b.turn).map(({ row }) => row);
}
