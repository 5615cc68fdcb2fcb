import { expect, test } from '@jest/globals';
import { v5 } from 'uuid';
import { eventIdOf } from './event-id.js';

const event = { requestId: 'r-1', type: 'note.creation.requested', data: { title: 'Zoë 🌱', tags: ['a', 'b'] } };

test('an event keeps its id over releases: what a page has kept unsent is known again by the server', () => {
  expect(eventIdOf('ada', event)).toBe('091f46fd-7a3c-5422-8450-b68b8281cbb4');
});

test('it is a UUID of version 5, of any length of event', () => {
  const namespace = '5d3a9c62-1f0b-4c1e-9a47-2f6be0c7d815';
  for (const length of [0, 1, 20, 21, 22, 30, 31, 32, 33, 84, 85, 1_000]) {
    const data = 'ü'.repeat(length);
    expect(eventIdOf('ada', { data })).toBe(v5(JSON.stringify(['ada', { data }]), namespace));
  }
});

test('the order of keys does not make another event; another user, request or content does', () => {
  const { requestId, type, data } = event;
  expect(eventIdOf('ada', { data: { tags: data.tags, title: data.title }, type, requestId })).toBe(
    eventIdOf('ada', event),
  );
  const others = [
    eventIdOf('ben', event),
    eventIdOf(undefined, event),
    eventIdOf('ada', { ...event, requestId: 'r-2' }),
    eventIdOf('ada', { ...event, data: { ...data, tags: ['b', 'a'] } }),
    eventIdOf('ada', { ...event, priority: 'high' }),
  ];
  expect(new Set([...others, eventIdOf('ada', event)]).size).toBe(6);
});
