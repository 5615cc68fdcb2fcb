import type { Device } from '../plan.ts';
import type { Heard } from '../readers/record.ts';
import { isApplied, shareOf } from './check.ts';
import type { Entry, Facts } from './facts.ts';

/** Milliseconds. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Measures {
  /** Notifications committed, and the rooms they went to. */
  readonly notifications: number;
  readonly rooms: number;
  readonly shares: Readonly<
    Record<Device['kind'], { readonly devices: number; readonly due: number; readonly got: number }>
  >;
  readonly cuts: number;
  readonly silentCuts: number;
  readonly reconnects: number;
  /** From a reconnect until all is applied that was committed before it; only of those that had missed something. */
  readonly catchUp: Spread;
  /** Of those, the ones that were cut again before they had it all. */
  readonly catchUpsCut: number;
  /** From commit to applied, where the connection was there all the while. */
  readonly latency: Spread;
}

export function measure(facts: Facts): Measures {
  const { plan, rooms, cuts } = facts;
  const devices = plan.devices.filter(({ kind }) => kind === 'synap');
  const heardBy = Map.groupBy(facts.heard, ({ device }) => device);
  const lives = devices.map((device) => liveOf(facts, device, heardBy.get(device.index) ?? []));
  const ofKind = (kind: Device['kind']) => ({
    devices: plan.devices.filter((device) => device.kind === kind).length,
    ...shareOf(facts, kind),
  });
  const synap = new Set(devices.map(({ index }) => index));
  const ids = new Set([...rooms.values()].flatMap(({ entries }) => entries.map(({ id }) => id)));
  return {
    notifications: ids.size,
    rooms: rooms.size,
    shares: { synap: ofKind('synap'), plain: ofKind('plain'), control: ofKind('control') },
    cuts: cuts.filter(({ device }) => synap.has(device)).length,
    silentCuts: cuts.filter(({ device, silentMs }) => synap.has(device) && silentMs > 0).length,
    reconnects: lives.reduce((sum, { reconnects }) => sum + reconnects, 0),
    catchUp: spread(lives.flatMap(({ catchUps }) => catchUps)),
    catchUpsCut: lives.reduce((sum, { catchUpsCut }) => sum + catchUpsCut, 0),
    latency: spread(lives.flatMap(({ latencies }) => latencies)),
  };
}

interface Stay {
  readonly from: number;
  readonly to: number;
}

interface Live {
  readonly reconnects: number;
  readonly catchUps: readonly number[];
  readonly catchUpsCut: number;
  readonly latencies: readonly number[];
}

interface Arrival {
  readonly committedAt: number;
  readonly appliedAt: number;
}

function liveOf({ rooms, cuts, calmAt }: Facts, device: Device, heard: readonly Heard[]): Live {
  const own = cuts.filter((cut) => cut.device === device.index);
  const stays = staysOf(
    heard,
    own.map(({ at, silentMs }) => at - silentMs),
  );
  const appliedIn = Map.groupBy(heard.filter(isApplied), ({ room }) => room);
  const arrivals = device.rooms
    // Rooms that are subscribed to later begin with what was there already.
    .filter(({ fromMs }) => fromMs === 0)
    .flatMap(({ name, key }) => {
      const at = new Map(appliedIn.get(name)?.map((line) => [line.seq, line.at]));
      return (rooms.get(key)?.entries ?? [])
        .filter(({ committedAt }) => committedAt < calmAt)
        .flatMap((entry) => arrivalOf(entry, at.get(entry.seq)));
    });
  const caughtUp = stays.slice(1).flatMap((stay) => {
    const missed = arrivals.filter(({ committedAt, appliedAt }) => committedAt <= stay.from && appliedAt > stay.from);
    return missed.length === 0 ? [] : [{ stay, at: Math.max(...missed.map(({ appliedAt }) => appliedAt)) }];
  });
  const whole = caughtUp.filter(({ stay, at }) => at <= stay.to);
  return {
    reconnects: Math.max(0, stays.length - 1),
    catchUps: whole.map(({ stay, at }) => at - stay.from),
    catchUpsCut: caughtUp.length - whole.length,
    latencies: arrivals
      .filter(({ committedAt, appliedAt }) => stays.some(({ from, to }) => from <= committedAt && appliedAt <= to))
      .map(({ committedAt, appliedAt }) => appliedAt - committedAt),
  };
}

const arrivalOf = ({ committedAt }: Entry, appliedAt: number | undefined): Arrival[] =>
  appliedAt === undefined ? [] : [{ committedAt, appliedAt }];

/** While its client said that it is connected, and its line had not begun to lose bytes. */
function staysOf(heard: readonly Heard[], cutsAt: readonly number[]): Stay[] {
  const stays: Stay[] = [];
  let from: number | undefined;
  const end = (to: number): void => {
    if (from !== undefined) stays.push({ from, to: Math.min(to, ...cutsAt.filter((at) => at > (from ?? 0))) });
    from = undefined;
  };
  for (const line of heard) {
    if (line.what !== 'state') continue;
    if (line.state === 'connected') from ??= line.at;
    else end(line.at);
  }
  end(Infinity);
  return stays;
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}
