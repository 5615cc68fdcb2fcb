import { expect, test } from '@jest/globals';
import { ManualClock } from '../../test/support/manual-clock.js';
import { createEnvironment, type Wake } from './environment.js';
import { Follower } from './follower.js';
import type { TabRequest } from './tabs.js';

test('a tab that is seen, or online again, makes the one with the connection connect, or show that it is connected', async () => {
  const clock = new ManualClock();
  const posted: TabRequest[] = [];
  const page = { wake: (_wake: Wake) => {} };
  const nothing = () => {};
  const follower = new Follower(
    {
      id: 'tab',
      environment: {
        ...createEnvironment(),
        ...{ now: clock.now, after: (delayMs, run) => clock.after(delayMs, run) },
        onWake(listener) {
          page.wake = listener;
          return () => {
            page.wake = nothing;
          };
        },
      },
      post: (message) => posted.push(message),
      onSilence: nothing,
    },
    {
      ...{ onState: nothing, onNotifications: nothing, onProgress: nothing, onDelta: nothing },
      ...{ onPong: nothing, onError: nothing },
    },
  );
  follower.start();
  follower.heard('leader', { kind: 'state', state: 'offline', connection: 1 });
  posted.splice(0);
  page.wake('offline');
  expect(posted).toEqual([]);
  page.wake('visible');
  page.wake('online');
  expect(posted).toEqual([{ kind: 'reconnect' }, { kind: 'reconnect' }]);
  follower.heard('leader', { kind: 'state', state: 'connected', connection: 2 });
  page.wake('visible');
  expect(posted.at(-1)).toMatchObject({ kind: 'call', name: 'ping' });
  follower.close();
  posted.splice(0);
  page.wake('visible');
  expect(posted).toEqual([]);
  await clock.advance(0);
});
