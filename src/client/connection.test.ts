import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../test/support/manual-clock.js';
import type { SocketErrorCode } from '../realtime/contract.js';
import { Connection } from './connection.js';
import { Credentials } from './credentials.js';
import { createEnvironment, type Environment, type Wake } from './environment.js';
import type { Session, SessionListener } from './session.js';
import type { TokenProvider } from './types.js';

/** A session whose server is the test. */
class PlayedSession implements Session {
  readonly token: string;
  readonly server: SessionListener;
  readonly calls: [string, unknown][] = [];
  answer: (name: string) => Promise<unknown> = () => Promise.resolve({ type: 'pong', timestamp: '', heads: {} });
  isClosed = false;

  constructor(token: string, server: SessionListener) {
    this.token = token;
    this.server = server;
  }

  readonly call: Session['call'] = (name, message) => {
    this.calls.push([name, message]);
    return this.answer(name) as Promise<never>;
  };
  readonly tell = () => undefined;
  close(): void {
    this.isClosed = true;
  }
  end(code?: SocketErrorCode): void {
    this.server.onEnd({ code, message: 'played' });
  }
}

/** A connection on a clock, a network and a token that the test has in its hands. Without jitter: half of each delay. */
function play(token: string | TokenProvider = () => 'token') {
  const clock = new ManualClock();
  const sessions: PlayedSession[] = [];
  const states: string[] = [];
  const network = { isOnline: true, wake: (_wake: Wake) => {} };
  const environment: Environment = {
    ...createEnvironment(),
    ...{ now: clock.now, after: (delayMs, run) => clock.after(delayMs, run), random: () => 1 },
    isOnline: () => network.isOnline,
    onWake(listener) {
      network.wake = listener;
      return () => {};
    },
  };
  const open = (given: string, listener: SessionListener): Session => {
    const session = new PlayedSession(given, listener);
    sessions.push(session);
    return session;
  };
  const nothing = () => {};
  const connection = new Connection(
    { transports: { open: () => open }, credentials: new Credentials(token), environment, reconnect: {} },
    {
      ...{ onNotifications: nothing, onProgress: nothing, onDelta: nothing, onPong: nothing, onError: nothing },
      onState: (state) => states.push(state),
    },
  );
  connection.start();
  return { clock, sessions, states, network, connection, last: () => sessions.at(-1)! };
}

describe('reconnecting', () => {
  test('waits a second, then doubles, ten times; after that slowly, and says offline', async () => {
    const { clock, sessions, states, last } = play();
    await clock.advance(0);
    last().server.onOpen();
    await clock.advance(5_000);
    last().end();
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]) {
      const before = sessions.length;
      await clock.advance(seconds * 1_000 - 1);
      expect(sessions).toHaveLength(before);
      await clock.advance(1);
      expect(sessions).toHaveLength(before + 1);
      expect(states).toEqual(['connecting', 'connected', 'reconnecting']);
      last().end();
    }
    expect(states.at(-1)).toBe('offline');
    await clock.advance(60_000);
    expect(sessions).toHaveLength(12);
    last().server.onOpen();
    expect(states.at(-1)).toBe('connected');
  });

  test('the network or the eye coming back brings it forward; without a network it says offline', async () => {
    const { clock, sessions, states, network, last } = play();
    await clock.advance(0);
    last().server.onOpen();
    network.isOnline = false;
    last().end();
    expect(states.at(-1)).toBe('offline');
    network.isOnline = true;
    network.wake('online');
    await clock.advance(0);
    expect(sessions).toHaveLength(2);
    last().end();
    network.wake('visible');
    await clock.advance(0);
    expect(sessions).toHaveLength(3);
    expect(states.at(-1)).toBe('reconnecting');
  });

  test('a server that takes and drops us is not hurried', async () => {
    const { clock, sessions, last } = play();
    await clock.advance(0);
    for (const seconds of [1, 2, 4]) {
      last().server.onOpen();
      last().end();
      const before = sessions.length;
      await clock.advance(seconds * 1_000 - 1);
      expect(sessions).toHaveLength(before);
      await clock.advance(1);
    }
    expect(sessions).toHaveLength(4);
  });

  test('leaves a draining server within a second, before or after it closes', async () => {
    const { clock, sessions, states, last } = play();
    await clock.advance(0);
    last().server.onOpen();
    last().server.onClosing({ code: 'draining', message: '' });
    await clock.advance(500);
    expect(last().isClosed).toBe(false);
    last().end('draining');
    expect(states.at(-1)).toBe('reconnecting');
    await clock.advance(500);
    expect(sessions).toHaveLength(2);
    last().server.onOpen();
    last().server.onClosing({ code: 'draining', message: '' });
    const leaving = last();
    await clock.advance(1_000);
    expect([leaving.isClosed, sessions.length]).toEqual([true, 3]);
  });

  test('what a session says after its end is not heard', async () => {
    const { clock, sessions, states, last } = play();
    await clock.advance(0);
    const old = last();
    old.server.onOpen();
    old.end();
    await clock.advance(1_000);
    old.server.onOpen();
    expect([sessions.length, states.at(-1)]).toEqual([2, 'reconnecting']);
  });
});

describe('the token', () => {
  test('a refused one is asked for once more; a second refusal signs out, until reconnect', async () => {
    let given = 0;
    const { clock, sessions, states, connection, last } = play(() => `token ${(given += 1)}`);
    await clock.advance(0);
    last().end('token_expired');
    await clock.advance(0);
    expect(sessions.map(({ token }) => token)).toEqual(['token 1', 'token 2']);
    last().end('token_invalid');
    await clock.advance(120_000);
    expect([sessions.length, states.at(-1)]).toEqual([2, 'signed-out']);
    connection.reconnect();
    await clock.advance(0);
    last().server.onOpen();
    expect(states.at(-1)).toBe('connected');
  });

  test('one that is always the same is not tried twice', async () => {
    const { clock, sessions, states, last } = play('fixed');
    await clock.advance(0);
    last().end('token_expired');
    await clock.advance(60_000);
    expect([sessions.length, states.at(-1)]).toEqual([1, 'signed-out']);
  });

  test('a new one is shown a minute before the old one ends, and again', async () => {
    const { clock, connection, last } = play();
    await clock.advance(0);
    const at = (afterMs: number) => new Date(clock.now() + afterMs).toISOString();
    last().answer = (name) =>
      Promise.resolve(name === 'authenticate' ? { ok: true, expiresAt: at(100_000) } : { heads: {} });
    last().server.onOpen();
    last().server.onReady({ connectionId: '', userId: 'ada', deviceId: null, expiresAt: at(3_600_000) });
    const authentications = () => last().calls.filter(([name]) => name === 'authenticate');
    await clock.advance(3_539_999);
    expect(authentications()).toEqual([]);
    await clock.advance(1);
    expect(authentications()).toEqual([['authenticate', { token: 'token' }]]);
    await clock.advance(80_000);
    expect(authentications()).toHaveLength(2);
    connection.close();
  });

  test('a provider that does not answer is asked again after half a minute', async () => {
    let asked = 0;
    const { clock, sessions } = play(() => ((asked += 1) === 1 ? new Promise<string>(() => {}) : 'token'));
    await clock.advance(29_999);
    expect(asked).toBe(1);
    await clock.advance(1_001);
    expect([asked, sessions.length]).toEqual([2, 1]);
  });

  test('many who ask to reconnect at once begin one attempt', async () => {
    const { clock, sessions, connection, last } = play();
    await clock.advance(0);
    last().server.onOpen();
    last().end();
    for (let n = 0; n < 5; n += 1) {
      connection.reconnect();
      await clock.advance(10);
    }
    expect(sessions).toHaveLength(2);
    await clock.advance(1_000);
    connection.reconnect();
    await clock.advance(0);
    expect(sessions).toHaveLength(3);
  });

  test('a provider that cannot be reached is asked again; one that gives another user’s token is not', async () => {
    const claims = (sub: string) => `x.${btoa(JSON.stringify({ sub }))}.x`;
    let answer = (): string => {
      throw new Error('the network');
    };
    const { clock, sessions, states, last } = play(() => answer());
    await clock.advance(0);
    expect(states.at(-1)).toBe('connecting');
    answer = () => claims('ada');
    await clock.advance(1_000);
    last().server.onOpen();
    last().end();
    answer = () => claims('bob');
    await clock.advance(10_000);
    expect([sessions.length, states.at(-1)]).toEqual([1, 'signed-out']);
  });
});

test('a connection is asked every 30 s whether it lives, and at once where the network or the eye comes back', async () => {
  const { clock, network, last } = play();
  await clock.advance(0);
  last().server.onOpen();
  const pings = () => last().calls.filter(([name]) => name === 'ping').length;
  await clock.advance(33_000);
  expect(pings()).toBe(1);
  network.wake('online');
  network.wake('visible');
  last().server.onCheck();
  expect(pings()).toBe(4);
});
