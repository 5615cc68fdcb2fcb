import { describe, expect, test } from '@jest/globals';
import { isRoomKey, parseRoomKey, requestRoom, resolveRoom, roomKey, userRoom, wireName } from './rooms.js';

const strangeUsers = ['ada', 'a_b', 'a:b', 'a#b', 'auth0|5f', 'ü@x.org', "o'neil (jr)*!", '%5F', '../..', '{tag}'];

describe('keys', () => {
  test.each(strangeUsers)(
    'a key of %j holds nothing that is special to keys, channels or cluster hash tags, and is read back',
    (user) => {
      for (const room of [userRoom(user), requestRoom(user, 'req-1'), requestRoom(user, 'a:b_c.d')]) {
        expect(roomKey(room)).toMatch(/^[ur](:[A-Za-z0-9.~%-]+){1,2}$/);
        expect(parseRoomKey(roomKey(room))).toEqual(room);
        expect(isRoomKey(roomKey(room))).toBe(true);
      }
    },
  );

  test('no two rooms share a key', () => {
    const rooms = strangeUsers.flatMap((user) => [userRoom(user), requestRoom(user, 'x'), requestRoom(user, 'x_y')]);
    expect(new Set(rooms.map(roomKey)).size).toBe(rooms.length);
  });

  test('the same request id of two users is two rooms with one wire name', () => {
    const [a, b] = [requestRoom('ada', 'req-1'), requestRoom('bob', 'req-1')];
    expect(roomKey(a)).not.toBe(roomKey(b));
    expect(wireName(a)).toBe(wireName(b));
  });
});

describe('names on the wire', () => {
  test.each([
    ['user_ada', 'ada', userRoom('ada')],
    ['user_a_b', 'a_b', userRoom('a_b')],
    ['request_req-1', 'ada', requestRoom('ada', 'req-1')],
    ['user_bob', 'ada', undefined],
    ['user_', 'ada', undefined],
    ['request_', 'ada', undefined],
    ['request_a b', 'ada', undefined],
    [`request_${'x'.repeat(129)}`, 'ada', undefined],
    ['u:ada', 'ada', undefined],
    ['', 'ada', undefined],
  ])('%j means, to %s, %j', (name, userId, room) => {
    expect(resolveRoom(name, userId)).toEqual(room);
  });
});
