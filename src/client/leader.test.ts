import { beforeEach, expect, test } from '@jest/globals';
import { Leader } from './leader.js';
import type { Link, LinkListener } from './link.js';
import { ConnectionLost } from './session.js';
import type { LeaderMessage, TabRequest } from './tabs.js';

// The tab that holds the connection, with the others and the connection in the test's hands.

const head = { ok: true, room: 'r', at: '', epoch: null, seq: 0, recovered: false, notifications: [] } as const;
const nothing = () => {};
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

let posted: LeaderMessage[];
let told: string[];
let own: string[];
let isLost: boolean;
let connection: LinkListener;
let died: Map<string, () => void>;
let leader: Leader;

beforeEach(() => {
  [posted, told, own, isLost, died] = [[], [], [], false, new Map()];
  const link: Link = {
    ...{ start: nothing, reconnect: nothing, close: nothing },
    call: (name) =>
      isLost ? Promise.reject(new ConnectionLost()) : Promise.resolve((name === 'subscribe' ? head : {}) as never),
    tell: (name, message) => void told.push(`${name} ${(message as { room?: string }).room}`),
  };
  leader = new Leader(
    {
      tabs: {
        id: 'own',
        lock: (name, _options, hold) => new Promise((resolve) => died.set(name, () => void hold().then(resolve))),
        channel: () => ({ post: nothing, close: nothing }),
      },
      lockOf: (tab) => tab,
      post: (message) => posted.push(message),
      open(listener) {
        connection = listener;
        return link;
      },
    },
    {
      ...{ onNotifications: nothing, onProgress: nothing, onDelta: nothing, onPong: nothing, onError: nothing },
      onState: (state) => own.push(state),
    },
  );
});

const subscribe = (room: string, call = 1): TabRequest => ({
  kind: 'call',
  call,
  name: 'subscribe',
  message: { room },
});
const leave = (room: string): TabRequest => ({ kind: 'tell', name: 'unsubscribe', message: { room } });

test('a room is left with the last tab that wants it, and not before', async () => {
  leader.heard('a', subscribe('r'));
  leader.heard('b', subscribe('r'));
  await leader.call('subscribe', { room: 'r' });
  leader.heard('a', leave('r'));
  leader.heard('a', leave('r'));
  leader.tell('unsubscribe', { room: 'r' });
  expect(told).toEqual([]);
  leader.heard('b', leave('r'));
  expect(told).toEqual(['unsubscribe r']);
});

test('a tab that has died wants no room any more', async () => {
  leader.heard('a', subscribe('r'));
  leader.heard('b', subscribe('r'));
  leader.heard('b', subscribe('s'));
  died.get('b')?.();
  await turn();
  expect(told).toEqual(['unsubscribe s']);
  died.get('a')?.();
  await turn();
  expect(told).toEqual(['unsubscribe s', 'unsubscribe r']);
});

test('each connection is told with another number, so that the others subscribe again', () => {
  connection.onState('connected');
  connection.onState('reconnecting');
  connection.onState('connected');
  leader.heard('a', { kind: 'hello' });
  const states = posted.map((message) =>
    message.kind === 'state' ? [message.state, message.connection] : message.kind,
  );
  expect(states).toEqual([
    ['connected', 1],
    ['reconnecting', 1],
    ['connected', 2],
    ['connected', 2],
  ]);
});

test('a refused token is this tab’s own: the others are told to wait for the next leader', () => {
  connection.onState('signed-out');
  expect([own, posted]).toEqual([['signed-out'], [{ kind: 'state', state: 'reconnecting', connection: 0 }]]);
});

test('what is asked while the connection is lost is answered as lost, to the tab that asked', async () => {
  isLost = true;
  leader.heard('a', subscribe('r', 7));
  await turn();
  expect(posted).toEqual([{ kind: 'lost', to: 'a', call: 7 }]);
  isLost = false;
  leader.heard('b', subscribe('r', 8));
  await turn();
  expect(posted.at(-1)).toEqual({ kind: 'answer', to: 'b', call: 8, answer: head });
});

test('a tab that gives the connection up says so, and one that is deposed says nothing any more', () => {
  const pong = { type: 'pong', timestamp: '', heads: {} } as const;
  connection.onState('connected');
  leader.close();
  connection.onPong(pong);
  connection.onState('reconnecting');
  leader.heard('a', { kind: 'hello' });
  expect(posted.map((message) => (message.kind === 'state' ? message.state : message.kind))).toEqual([
    'connected',
    'reconnecting',
  ]);
});
