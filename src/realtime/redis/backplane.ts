import { createAdapter } from '@socket.io/redis-adapter';
import type { Clock } from '../../platform/clock.js';
import { toError } from '../../platform/errors.js';
import type { CheckStatus } from '../../platform/health.js';
import { newId } from '../../platform/ids.js';
import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import type { Redis } from '../../platform/redis.js';
import { AdapterFrames } from './adapter-frame.js';
import { atMost } from './at-most.js';
import type { Backplane } from '../backplane.js';
import { DeliveryLatency } from '../delivery-latency.js';
import { RedisFanout } from './fanout.js';
import { RedisGeneration } from './generation.js';
import { PassedNotifications } from './passed-notifications.js';
import { RedisPresence } from './presence.js';
import { RedisRecent } from './recent.js';
import { afterLoss, RedisTap } from './tap.js';
import { SelfProbe } from './self-probe.js';

export interface RedisBackplaneDeps {
  readonly connect: (purpose: string, options?: { readonly maxRetriesPerRequest: number }) => Redis;
  /** Separates installations on one Redis; keys and channels start with it. */
  readonly prefix: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Publishers reach the sockets of every process through Redis' pub/sub and Socket.IO's Redis adapter. */
export function createRedisBackplane(deps: RedisBackplaneDeps): Backplane {
  const { connect, prefix, metrics, logger, clock } = deps;
  const key = `${prefix}.io`;
  const nodeId = newId();
  // What cannot be sent soon is given up and found in Postgres later, instead of filling the memory until Redis is back.
  const publisher = connect('publisher', { maxRetriesPerRequest: 2 });
  const presence = new RedisPresence(publisher, { prefix, nodeId, clock });
  const frames = new AdapterFrames(key);
  const generation = new RedisGeneration(publisher);
  const fanout = new RedisFanout(publisher, frames, { prefix, clock, generation });
  const latency = new DeliveryLatency(metrics, clock);
  const tap = new RedisTap({ connect: () => connect('tap'), frames, latency, logger });
  let ears: Ears | undefined;

  return {
    fanout,
    recent: new RedisRecent(publisher, frames, { prefix, clock, generation }),
    presence,
    tap: (room, listener) => tap.tap(room, listener),
    attach(io) {
      const subscriber = connect('subscriber');
      const [pub, sub] = [forAdapter(publisher, logger), forAdapter(subscriber, logger)];
      const parser = frames.parser(new PassedNotifications());
      io.adapter(createAdapter(pub, sub, { key, parser, publishOnSpecificResponseChannel: true }));
      presence.attach(io);
      tap.attach(subscriber, io);
      // What was published while it was away is lost to this process' sockets and taps: they compare heads.
      const check = () => {
        io.local.emit('check');
        tap.check();
      };
      afterLoss(subscriber, check);
      const onDeaf = () => subscriber.disconnect(true);
      const confirm = () => publisher.ping();
      const probe = new SelfProbe({ nodeId, fanout, confirm, tap, metrics, logger, clock, onDeaf, onHealed: check });
      probe.start();
      ears = { publisher, subscriber, probe, clock };
    },
    check: { name: 'realtime', run: () => checkEars(ears), otherwise: 'degraded' },
    async close() {
      ears?.probe.stop();
      await presence.stop();
      tap.close();
      ears?.subscriber.disconnect();
      publisher.disconnect();
    },
  };
}

/** How a process with sockets hears. */
interface Ears {
  readonly publisher: Redis;
  readonly subscriber: Redis;
  readonly probe: SelfProbe;
  readonly clock: Clock;
}

/** Less than who asks for readiness waits. */
const answerMs = 1_000;

/**
 * Without Redis a process still serves: rooms are read from Postgres, and clients that ask every so often find what was not
 * published. All replicas are in this together, so none may say that it is not ready. One that is deaf alone says so: the others are better.
 */
async function checkEars(ears: Ears | undefined): Promise<CheckStatus> {
  if (ears === undefined) return 'failed';
  const { publisher, subscriber, probe, clock } = ears;
  if (probe.status !== 'ok') return probe.status;
  if (publisher.status !== 'ready' || subscriber.status !== 'ready') return 'degraded';
  // A connection that looks open may be dead: only an answer counts.
  const answers = await atMost(answerMs, Promise.all([publisher.ping(), subscriber.ping()]), clock);
  return answers === undefined ? 'degraded' : 'ok';
}

/**
 * The adapter drops the promises of what it sends, and a rejection that nobody handles ends the process: this is a connection
 * whose failures are logged. Subscriptions are made again by ioredis itself.
 */
function forAdapter(redis: Redis, logger: Logger) {
  const noted = (sent: Promise<unknown>) =>
    sent.catch((thrown: unknown) => logger.debug({ err: toError(thrown) }, 'the adapter could not reach Redis'));
  type Listener = (...args: unknown[]) => void;
  return {
    publish: (channel: string, message: string | Buffer) => noted(redis.publish(channel, message)),
    psubscribe: (pattern: string) => noted(redis.psubscribe(pattern)),
    subscribe: (channels: string[]) => noted(redis.subscribe(...channels)),
    punsubscribe: (pattern: string) => noted(redis.punsubscribe(pattern)),
    unsubscribe: (channels: string[]) => noted(redis.unsubscribe(...channels)),
    on: (event: string, listener: Listener) => redis.on(event, listener),
    off: (event: string, listener: Listener) => redis.off(event, listener),
  };
}
