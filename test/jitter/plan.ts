import type { ClientSpec, Planned } from '../faults/client/plan.ts';
import { planRequests } from '../faults/client/plan.ts';

export interface JitterOptions {
  /** Of `synap/client`; the control and the plain readers come on top. */
  readonly clients: number;
  /** Of traffic and cuts. */
  readonly seconds: number;
  readonly seed: number;
  /** How long everybody may take to have everything when all is over; more where the machine has other work. */
  readonly settleMs: number;
}

/** `synap`: the client under test. `plain`: socket.io-client on Synap that never resumes. `control`: without Synap. */
export type Kind = 'synap' | 'plain' | 'control';

/** A room that a device hears from some time after the beginning. */
export interface PlannedRoom {
  readonly name: string;
  /** Its inside key, as Postgres has it. */
  readonly key: string;
  readonly fromMs: number;
}

/** One connection on a bad network. Devices of one number are cut at the same moments, whatever they are. */
export interface Device {
  readonly index: number;
  readonly kind: Kind;
  readonly number: number;
  readonly userId: string;
  readonly rooms: readonly PlannedRoom[];
}

export interface Plan {
  readonly options: JitterOptions;
  /** Begins every user id and request id. */
  readonly prefix: string;
  readonly users: readonly string[];
  readonly devices: readonly Device[];
  readonly load: Pick<ClientSpec, 'perSecond' | 'seconds' | 'mix' | 'seed'>;
  readonly requests: readonly Planned[];
}

const devicesPerUser = 4;
/** Each request is two notifications, in two rooms each. */
const requestsPerSecond = 12;
/** So long before a request is sent (or, for every other one, after) its room is subscribed to. */
const followLeadMs = 300;
const followLateMs = 2_000;

export function planRun(options: JitterOptions, prefix: string): Plan {
  const users = Array.from(
    { length: Math.max(3, Math.ceil(options.clients / devicesPerUser)) },
    (_, index) => `${prefix}-u${index}`,
  );
  const load = {
    perSecond: requestsPerSecond,
    seconds: options.seconds,
    mix: { work: 5, slow: 1 },
    seed: options.seed,
  };
  const tokens = Object.fromEntries(users.map((user) => [user, '']));
  const requests = planRequests({ ...load, prefix, tokens, apiUrls: [], log: '', timeoutMs: 0, persistMs: 0 });
  const counts: Readonly<Record<Kind, number>> = {
    synap: options.clients,
    control: Math.max(users.length, Math.ceil(options.clients / 5)),
    plain: Math.max(3, Math.ceil(options.clients / 20)),
  };
  const devices = (Object.keys(counts) as Kind[])
    .flatMap((kind) => Array.from({ length: counts[kind] }, (_, number) => ({ kind, number })))
    .map(({ kind, number }, index): Device => {
      const userId = users[number % users.length] ?? '';
      return {
        index,
        kind,
        number,
        userId,
        rooms: kind === 'synap' ? roomsOf(userId, Math.floor(number / users.length), requests) : [ownRoom(userId)],
      };
    });
  return { options, prefix, users, devices, load, requests };
}

/** A room of each user's that nothing goes to before the end: there, nothing that comes later can heal a loss. */
export const lastRequestOf = (userId: string): string => `${userId}-last`;

const ownRoom = (userId: string): PlannedRoom => ({ name: `user_${userId}`, key: `u:${userId}`, fromMs: 0 });

const requestRoom = (userId: string, requestId: string, fromMs: number): PlannedRoom => ({
  name: `request_${requestId}`,
  key: `r:${userId}:${requestId}`,
  fromMs: Math.max(0, fromMs),
});

/** A user's first and third device follow their requests, too. */
function roomsOf(userId: string, nth: number, requests: readonly Planned[]): PlannedRoom[] {
  const always = [ownRoom(userId), requestRoom(userId, lastRequestOf(userId), 0)];
  if (nth % 2 === 1) return always;
  const own = requests.filter((request) => request.userId === userId);
  return [
    ...always,
    ...own.map(({ ref, atMs }, place) =>
      requestRoom(userId, ref, place % 2 === 0 ? atMs - followLeadMs : atMs + followLateMs),
    ),
  ];
}
