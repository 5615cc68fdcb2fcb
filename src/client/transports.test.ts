import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../test/support/manual-clock.js';
import type { SocketErrorCode } from '../realtime/contract.js';
import { Connection } from './connection.js';
import { Credentials } from './credentials.js';
import { createEnvironment, type Environment } from './environment.js';
import type { OpenSession, SessionListener } from './session.js';
import { chooseTransports } from './transports.js';

/** What of a network lets through what; a session that is not let through ends at once, as the network says. */
class Network {
  socket: 'opens' | 'fails' | 'drops' | SocketErrorCode = 'opens';
  hasHttp = true;
  /** What was tried, and what of it came through. */
  readonly opened: string[] = [];
  readonly through: string[] = [];
  readonly #open = new Map<SessionListener, 'socket' | 'stream'>();

  get ways(): string[] {
    return [...this.#open.values()];
  }

  /** All that there is is cut. */
  cut(): void {
    for (const listener of this.#open.keys()) this.#end(listener);
  }

  session(way: 'socket' | 'stream'): OpenSession {
    return (_token, listener) => {
      void Promise.resolve().then(() => this.#answer(way, listener));
      return {
        call: () => Promise.resolve({ heads: {} }) as Promise<never>,
        tell: () => undefined,
        close: () => void this.#open.delete(listener),
      };
    };
  }

  #answer(way: 'socket' | 'stream', listener: SessionListener): void {
    this.opened.push(way);
    const says = way === 'socket' ? this.socket : this.hasHttp ? 'opens' : 'fails';
    if (says !== 'opens' && says !== 'drops') {
      return listener.onEnd({ code: says === 'fails' ? undefined : says, message: 'played' });
    }
    this.#open.set(listener, way);
    this.through.push(way);
    listener.onOpen();
    if (says === 'drops') this.#end(listener);
  }

  #end(listener: SessionListener): void {
    if (this.#open.delete(listener)) listener.onEnd({ code: undefined, message: 'played' });
  }
}

function play() {
  const clock = new ManualClock();
  const network = new Network();
  const environment: Environment = {
    ...createEnvironment(),
    ...{ now: clock.now, after: (delayMs, run) => clock.after(delayMs, run), random: () => 1 },
    isOnline: () => true,
  };
  const [socket, stream] = [network.session('socket'), network.session('stream')];
  const transports = chooseTransports('auto', { socket, stream, environment });
  const nothing = () => {};
  const connection = new Connection(
    { transports, credentials: new Credentials('token'), environment, reconnect: {} },
    {
      ...{ onState: nothing, onNotifications: nothing, onProgress: nothing, onDelta: nothing },
      ...{ onPong: nothing, onError: nothing },
    },
  );
  return { clock, network, connection };
}

describe('the way to the server', () => {
  test('an outage of whatever length ends on a socket, without a stream between', async () => {
    for (const seconds of [2, 4, 8, 30, 100, 600]) {
      const { clock, network, connection } = play();
      connection.start();
      await clock.advance(10_000);
      Object.assign(network, { socket: 'fails', hasHttp: false });
      network.cut();
      await clock.advance(seconds * 1_000);
      Object.assign(network, { socket: 'opens', hasHttp: true });
      await clock.advance(61_000);
      expect([network.ways, network.through]).toEqual([['socket'], ['socket', 'socket']]);
      connection.close();
    }
  });

  test('where sockets fail and HTTP works it is a stream, and a socket as soon as one opens', async () => {
    const { clock, network, connection } = play();
    network.socket = 'fails';
    connection.start();
    await clock.advance(8_000);
    expect(network.ways).toEqual(['stream']);
    network.opened.splice(0);
    await clock.advance(60_000);
    // After 5, 15 and 35 seconds.
    expect([network.opened, network.ways]).toEqual([['socket', 'socket', 'socket'], ['stream']]);
    network.socket = 'opens';
    await clock.advance(40_000);
    expect(network.ways).toEqual(['socket']);
  });

  test('a socket is tried again within five seconds after the first stream, and at least every five minutes', async () => {
    const { clock, network, connection } = play();
    network.socket = 'fails';
    connection.start();
    await clock.advance(7_000);
    expect(network.ways).toEqual(['stream']);
    network.opened.splice(0);
    await clock.advance(5_000);
    expect(network.opened).toEqual(['socket']);
    await clock.advance(3_600_000);
    network.opened.splice(0);
    await clock.advance(300_000);
    expect(network.opened).toEqual(['socket']);
    expect(network.ways).toEqual(['stream']);
  });

  test('one whose sockets are let through and then dropped gets a stream', async () => {
    const { clock, network, connection } = play();
    network.socket = 'drops';
    connection.start();
    await clock.advance(8_000);
    expect(network.ways).toEqual(['stream']);
  });

  test('a server that says why it refuses a socket is not asked for a stream', async () => {
    const { clock, network, connection } = play();
    network.socket = 'too_many_connections';
    connection.start();
    await clock.advance(60_000);
    expect(new Set(network.opened)).toEqual(new Set(['socket']));
  });

  test('what is closed tries nothing any more', async () => {
    const { clock, network, connection } = play();
    network.socket = 'fails';
    connection.start();
    await clock.advance(7_000);
    connection.close();
    network.opened.splice(0);
    await clock.advance(600_000);
    expect([network.opened, network.ways]).toEqual([[], []]);
  });
});
