import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { startProxy } from '../../../test/support/interruptible-proxy.js';
import { ManualClock } from '../../../test/support/manual-clock.js';
import { append } from '../../../test/support/realtime-cluster.js';
import { connectClient, silent, startRealtimeNode } from '../../../test/support/realtime.js';
import { createRedisPrefix, redisUrl } from '../../../test/support/redis.js';
import { eventually, nextEvent } from '../../../test/support/signals.js';
import { createMetrics } from '../../platform/metrics.js';
import type { Ephemeral } from '../contract.js';
import { SelfProbe } from './self-probe.js';
import { Taps } from '../reading/taps.js';

describe('the self-probe', () => {
  let clock: ManualClock;
  let taps: Taps;
  let probe: SelfProbe;
  let happened: string[];
  let way: 'open' | 'lost' | 'refused' | 'frozen';
  let failures: () => Promise<number | undefined>;

  beforeEach(() => {
    clock = new ManualClock();
    taps = new Taps();
    happened = [];
    way = 'open';
    const metrics = createMetrics('synap_');
    failures = async () => (await metrics.realtimeProbeFailures.get()).values[0]?.value;
    const ephemeral = (room: string, frame: Ephemeral) => {
      happened.push('said');
      if (way === 'open') taps.ephemeral(room, frame);
      return way !== 'refused';
    };
    const confirm = () => (way === 'frozen' ? new Promise(() => undefined) : Promise.resolve());
    const on = { onDeaf: () => happened.push('dropped'), onHealed: () => happened.push('healed') };
    probe = new SelfProbe({
      nodeId: 'n',
      fanout: { ephemeral },
      confirm,
      tap: taps,
      metrics,
      logger: silent,
      clock,
      ...on,
    });
    probe.start();
  });

  test('that is heard says nothing', async () => {
    await clock.advance(20_000);
    expect([happened, probe.status, await failures()]).toEqual([['said', 'said', 'said', 'said'], 'ok', 0]);
  });

  test('that is not heard within 5 s drops the connection, and again until it is heard, and then clients check', async () => {
    way = 'lost';
    await clock.advance(9_999);
    expect(probe.status).toBe('ok');
    await clock.advance(5_001);
    expect([happened, probe.status, await failures()]).toEqual([
      ['said', 'dropped', 'said', 'dropped', 'said'],
      'failed',
      2,
    ]);
    way = 'open';
    happened.length = 0;
    await clock.advance(10_000);
    expect([happened, probe.status, await failures()]).toEqual([['dropped', 'said', 'healed', 'said'], 'ok', 3]);
  });

  test.each(['refused', 'frozen'] as const)(
    'that did not reach Redis (%s) is no reason to drop who listens, nor to be less ready than others',
    async (how) => {
      way = how;
      await clock.advance(10_000);
      expect([happened, probe.status, await failures()]).toEqual([['said', 'said'], 'degraded', 1]);
    },
  );

  test('after Redis was away has failed only when a second word that Redis took was not heard', async () => {
    way = 'refused';
    await clock.advance(10_000);
    way = 'lost';
    await clock.advance(5_000);
    expect(probe.status).toBe('degraded');
    await clock.advance(5_000);
    expect(probe.status).toBe('degraded');
    await clock.advance(5_000);
    expect(probe.status).toBe('failed');
    way = 'open';
    await clock.advance(5_000);
    expect(probe.status).toBe('ok');
  });

  test('hears only its own newest word, and nothing once it is stopped', async () => {
    way = 'lost';
    await clock.advance(10_000);
    taps.ephemeral('probe:n', {
      event: 'progress',
      payload: { room: '', requestId: '', eventId: '', percent: 0, timestamp: '', message: '1' },
    });
    expect(probe.status).toBe('failed');
    probe.stop();
    happened.length = 0;
    await clock.advance(60_000);
    expect(happened).toEqual([]);
  });
});

describe('a process whose subscription is open and dead', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  test('is not ready, takes a new one, and tells its clients to check', async () => {
    const clock = new ManualClock(Date.now());
    const proxy = await startProxy(redisUrl());
    const subscriberUrl = proxy.url.replace('http', 'redis');
    const node = await startRealtimeNode({
      ...{ databaseUrl: database.url, redisUrl: redisUrl(), subscriberUrl, prefix: createRedisPrefix(), clock },
    });
    const { backplane, metrics, publisher } = node;
    expect(await backplane.check.run()).toBe('ok');
    const client = await connectClient(node, 'ada');
    publisher.publish(await append(node, 'ada', 1));
    await client.heard.count(1, 'the first');

    proxy.forget();
    publisher.publish(await append(node, 'ada', 2));
    await publisher.drain();
    const asked = nextEvent(client.socket as never, 'check');
    await eventually(async () => {
      const status = backplane.check.run();
      await clock.advance(5_000);
      return (await status) === 'failed' ? true : undefined;
    }, 'the probe to notice');
    await asked;
    // The next word is heard through the new subscription.
    await eventually(async () => {
      await clock.advance(5_000);
      return (await backplane.check.run()) === 'ok' ? true : undefined;
    }, 'readiness');
    publisher.publish(await append(node, 'ada', 3));
    await client.heard.first(({ seq }) => seq === 3, 'the third');
    expect(client.heard.items.map(({ seq }) => seq)).toEqual([1, 3]);
    expect((await metrics.realtimeProbeFailures.get()).values[0]?.value).toBeGreaterThanOrEqual(1);

    const latency = (await metrics.realtimeDeliveryDuration.get()).values;
    expect(latency.find(({ metricName }) => metricName?.endsWith('_count'))?.value).toBe(1);
    client.socket.disconnect();
    await node.close();
    await proxy.close();
  });
});
