import type { Clock } from '../platform/clock.js';
import type { Check } from '../platform/health.js';
import type { Metrics } from '../platform/metrics.js';
import { DeliveryLatency } from './delivery-latency.js';
import type { RoomFanout } from './publishing/fanout.js';
import type { RealtimeIo } from './io.js';
import { LocalFanout } from './local/fanout.js';
import { LocalPresence, type Presence } from './presence.js';
import type { RecentRooms } from './reading/recent.js';
import type { RoomTap } from './reading/tap.js';
import { Taps } from './reading/taps.js';

/**
 * What lies between publishers and sockets: Redis between many processes, nothing within one. Chosen once, in the composition
 * root; every role has one, the realtime role attaches its server to it.
 */
export interface Backplane extends RoomTap {
  readonly fanout: RoomFanout;
  readonly recent: RecentRooms;
  readonly presence: Presence;
  /** Before any socket connects. */
  attach(io: RealtimeIo): void;
  /** How the part is that brings frames to this process' sockets. */
  readonly check: Check;
  /** After the server and the publisher are closed. */
  close(): Promise<void>;
}

export function createLocalBackplane({
  clock,
  metrics,
}: {
  readonly clock: Clock;
  readonly metrics: Metrics;
}): Backplane {
  const taps = new Taps();
  const fanout = new LocalFanout(taps, new DeliveryLatency(metrics, clock), clock);
  const presence = new LocalPresence();
  return {
    fanout,
    recent: fanout,
    presence,
    tap: (room, listener) => taps.tap(room, listener),
    attach(io) {
      fanout.attach(io);
      presence.attach(io);
    },
    check: { name: 'realtime', run: () => 'ok' },
    close: () => Promise.resolve(),
  };
}
