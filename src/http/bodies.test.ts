import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi, type TestApi } from '../../test/support/api.js';

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const note = (title = 'Groceries') => ({ type: 'note.creation.requested', data: { title, content: 'Milk, bread' } });
const bodyOf = async (response: Response) => (await response.json()) as Record<string, unknown>;

describe('bodies', () => {
  const post = (body: string | Buffer, type: string | undefined, path = '/v1/events') =>
    api.call(path, { user: 'ada', method: 'POST', body, headers: type === undefined ? {} : { 'Content-Type': type } });

  test.each([
    ['in one short body', ''],
    ['in a long one', ' '.repeat(5_000)],
  ])('a byte order mark before JSON is no fault of it, %s', async (_how, space) => {
    const body = `\uFEFF${JSON.stringify(note())}${space}`;
    const headers = { 'Content-Type': 'application/json' };
    expect((await api.call('/v1/events', { user: 'mark', method: 'POST', body, headers })).status).toBe(202);
  });

  test('what is not JSON is 400 malformed_json', async () => {
    const response = await post('{"type": ', 'application/json');
    expect(response.status).toBe(400);
    expect(await bodyOf(response)).toMatchObject({ code: 'malformed_json' });
  });

  test('what is not application/json is 415', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', undefined]) {
      const response = await post('{}', type);
      expect(response.status).toBe(415);
      expect(await bodyOf(response)).toMatchObject({ code: 'unsupported_media_type' });
    }
    expect((await post('{}', 'application/json; charset=latin1')).status).toBe(415);
  });

  test('more than 10 MB is 413', async () => {
    const response = await post(JSON.stringify({ type: 'x', data: 'a'.repeat(10 * 1024 * 1024) }), 'application/json');
    expect(response.status).toBe(413);
    expect(await bodyOf(response)).toMatchObject({ code: 'payload_too_large' });
  });

  test.each(['null', '7', '"text"', '[]', ''])(
    'a body that is no object is a fault of the client: %j',
    async (body) => {
      const response = await post(body, 'application/json');
      expect(response.status).toBe(400);
      expect(await bodyOf(response)).toMatchObject({ code: 'validation_failed' });
    },
  );

  test.each([
    ['as it is', {}, (body: string) => body],
    ['made small for the way', { 'Content-Encoding': 'gzip' }, gzipSync],
  ])('a body nested without end is a fault of the client, %s', async (_how, encoding, encode) => {
    const nested = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    const body = encode(`{"type":"note.creation.requested","data":{"title":"t","content":"c","more":${nested}}}`);
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': 'deep', ...encoding };
    const response = await api.call('/v1/events', { user: 'ada', method: 'POST', body, headers });
    expect(response.status).toBe(400);
    expect(await bodyOf(response)).toMatchObject({ code: 'validation_failed' });
  });

  test('each member that is not known is a fault with its own path', async () => {
    const response = await api.call('/v1/events/batch', { user: 'ada', json: { events: [note()], more: 1, event: 2 } });
    expect(await bodyOf(response)).toMatchObject({
      code: 'validation_failed',
      errors: [
        { path: 'more', message: 'is not known here' },
        { path: 'event', message: 'is not known here' },
      ],
    });
  });

  test('a POST without a body is a fault of the client', async () => {
    expect((await api.call('/v1/events', { user: 'ada', method: 'POST' })).status).toBe(415);
  });
});
