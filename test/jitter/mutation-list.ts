import type { Patch } from '../faults/mutant.ts';
import type { Invariant } from './verdict/check.ts';

/** A guard, how to take it out, and what must be seen then. */
export interface Mutation {
  readonly guard: string;
  readonly patches: readonly Patch[];
  readonly expected: readonly Invariant[];
}

export const mutations: readonly Mutation[] = [
  {
    guard: 'since',
    patches: [
      { file: 'client/room', find: '...(since && { since })', replace: '...(since && this.#log.isNew && { since })' },
    ],
    expected: ['missing'],
  },
  {
    guard: 'heads',
    patches: [{ file: 'client/room', find: 'this.#log.isBehind(newest)', replace: 'false' }],
    expected: ['late'],
  },
  {
    guard: 'sweeper',
    patches: [
      {
        file: 'realtime/publishing/sweeper',
        find: 'from < end; from += stretchMs',
        replace: 'false; from += stretchMs',
      },
    ],
    expected: ['late'],
  },
  {
    guard: 'join-before-read',
    patches: [
      {
        file: 'realtime/sockets/subscriptions',
        find: 'await this.#socket.join(key);',
        // So late that a read which is slow to come is before it, too.
        replace: 'setTimeout(() => void this.#socket.join(key), 2_000);',
      },
    ],
    expected: ['late'],
  },
];
