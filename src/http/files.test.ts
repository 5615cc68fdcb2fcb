import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi, type TestApi } from '../../test/support/api.js';
import { Collected, within } from '../../test/support/signals.js';
import type { AppDeps } from './deps.js';

const mebibyte = 1024 * 1024;
let api: TestApi;
beforeAll(async () => {
  api = await startApi({ env: { MAX_FILE_SIZE_MB: '2' } });
});
afterAll(() => api.close());

type Body = NonNullable<RequestInit['body']>;

interface FileJson {
  readonly id: string;
  readonly name: string;
  readonly contentType: string;
  readonly size: number;
  readonly sha256: string;
  readonly url: string;
}

const bodyOf = async <T = Record<string, unknown>>(response: Response) => (await response.json()) as T;
const upload = (body: Body, headers: Record<string, string> = {}, user = 'ada') =>
  api.call('/v1/files', { user, method: 'POST', body, headers });
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

function form(name: string, bytes: Buffer | string, field = 'file'): FormData {
  const data = new FormData();
  data.set('comment', 'passed over');
  data.set(field, new File([bytes], name, { type: 'text/plain' }));
  return data;
}

/** What lies in storage, whoever owns it. */
async function storedFiles(): Promise<string[]> {
  const entries = await readdir(api.deps.config.storage.directory, { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe('POST /v1/files', () => {
  test('takes the field `file` of a form and answers 201 with its place', async () => {
    const bytes = Buffer.from('grün\n');
    const response = await upload(form('Einkaufsliste für Ärzte.txt', bytes));
    expect(response.status).toBe(201);
    const file = await bodyOf<FileJson>(response);
    expect(file).toMatchObject({
      name: 'Einkaufsliste für Ärzte.txt',
      contentType: 'text/plain',
      size: bytes.length,
      sha256: sha256(bytes),
    });
    expect(response.headers.get('location')).toBe(file.url);
  });

  test('takes the body itself, named by X-File-Name', async () => {
    const bytes = randomBytes(mebibyte);
    const response = await upload(bytes, {
      'Content-Type': 'application/zip',
      'X-File-Name': encodeURIComponent('日記.zip'),
    });
    expect(response.status).toBe(201);
    const file = await bodyOf<FileJson>(response);
    expect(file).toMatchObject({ name: '日記.zip', size: mebibyte, sha256: sha256(bytes) });
    const back = await api.call(file.url, { user: 'ada' });
    expect(sha256(Buffer.from(await back.arrayBuffer()))).toBe(file.sha256);
  });

  test.each([
    ['a form without a file', () => upload(form('a.txt', 'a', 'other')), 'file'],
    ['a name that is not percent-encoded', () => upload('a', { 'X-File-Name': '%E0%A4%A' }), 'X-File-Name'],
  ])('%s is 400', async (_what, send, fault) => {
    const response = await send();
    expect(response.status).toBe(400);
    expect(await bodyOf(response)).toMatchObject({ code: 'validation_failed', errors: [{ path: fault }] });
  });

  test.each([
    ['no boundary', 'multipart/form-data', 'text'],
    [
      'no end',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
    ],
    ['no form at all', 'multipart/form-data; boundary=x', 'nothing of the kind'],
  ])('a form with %s is 400 and leaves nothing', async (_what, type, body) => {
    const before = await storedFiles();
    const response = await upload(body, { 'Content-Type': type });
    expect(response.status).toBe(400);
    expect(await storedFiles()).toEqual(before);
  });

  test.each([
    ['announced', () => upload(randomBytes(3 * mebibyte))],
    ['in a form', () => upload(form('big.bin', randomBytes(2 * mebibyte + 1)))],
    [
      'streamed without a length',
      () => {
        const body = Readable.toWeb(Readable.from(Array.from({ length: 48 }, () => randomBytes(mebibyte / 16))));
        return api.call('/v1/files', { user: 'ada', method: 'POST', body, duplex: 'half' });
      },
    ],
  ])('more than the limit (%s) is 413, answered and not cut off, and leaves nothing', async (_what, send) => {
    const before = await storedFiles();
    const response = await send();
    expect(response.status).toBe(413);
    expect(await bodyOf(response)).toMatchObject({ code: 'payload_too_large' });
    expect(await storedFiles()).toEqual(before);
  });

  test.each([
    ['a raw body', 'application/octet-stream', ''],
    [
      'a form',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
    ],
  ])('%s that is cut short is given up and leaves nothing', async (_what, type, start) => {
    const stored = await storedFiles();
    const { saves, cut } = await watchedApi();
    try {
      const socket = await halfUpload(cut.url, type, start);
      await saves.first((state) => state === 'begun', 'the upload to begin');
      socket.destroy();
      expect(await saves.first((state) => state !== 'begun', 'the upload to be given up')).toBe('refused');
    } finally {
      await cut.close();
    }
    expect(await storedFiles()).toEqual(stored);
    const rows = api.deps.database.sql.selectFrom('files').select('id').where('name', '=', 'cut.txt');
    expect(await rows.execute()).toEqual([]);
  });

  test('a client that leaves before its token is checked holds nothing', async () => {
    const left = Promise.withResolvers<void>();
    const verify = async (token: string) => {
      await left.promise;
      return api.deps.tokens.verify(token);
    };
    const { saves, cut } = await watchedApi({ tokens: { ...api.deps.tokens, verify } });
    try {
      const socket = await halfUpload(cut.url, 'application/octet-stream', '');
      socket.destroy();
      await cut.logs.first(({ path, status }) => path === '/v1/files' && status === 499, 'the server to notice');
      left.resolve();
      expect(await saves.first((state) => state !== 'begun', 'the upload to be given up')).toBe('refused');
    } finally {
      await cut.close();
    }
  });
});

/** A connection on which half of an upload has been written. */
async function halfUpload(url: string, type: string, start: string): Promise<Socket> {
  const token = await api.deps.tokens.mint('ada', { expiresInSeconds: 60 });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  const head = `Host: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: ${type}\r\nContent-Length: 100000`;
  const written = new Promise<unknown>((resolve) =>
    socket.write(`POST /v1/files HTTP/1.1\r\n${head}\r\n\r\n${start}${'a'.repeat(50_000)}`, resolve),
  );
  await within(written, 'half of the upload to be written');
  return socket;
}

/** Another server on the same uploads, which tells when one begins and how it ends. */
async function watchedApi(deps: Partial<AppDeps> = {}) {
  const { uploads, config } = api.deps;
  const saves = new Collected<'begun' | 'saved' | 'refused'>();
  const saveUpload: typeof uploads.saveUpload = async (incoming) => {
    saves.add('begun');
    try {
      const saved = await uploads.saveUpload({ ...incoming, name: 'cut.txt' });
      saves.add('saved');
      return saved;
    } catch (thrown) {
      saves.add('refused');
      throw thrown;
    }
  };
  const cut = await startApi({
    databaseUrl: config.database.url ?? '',
    deps: { ...deps, uploads: { ...uploads, saveUpload } },
  });
  return { saves, cut };
}

describe('GET /v1/files/:id', () => {
  test('gives it as an attachment that no browser renders', async () => {
    const file = await bodyOf<FileJson>(
      await upload('<script>alert(1)</script>', {
        'X-File-Name': encodeURIComponent('"süß".html'),
        'Content-Type': 'text/html',
      }),
    );
    const response = await api.call(file.url, { user: 'ada' });
    expect(response.status).toBe(200);
    const header = (name: string) => response.headers.get(name);
    expect(header('content-disposition')).toMatch(
      /^attachment; filename=".*"; filename\*=UTF-8''%22s%C3%BC%C3%9F%22\.html$/,
    );
    expect(header('x-content-type-options')).toBe('nosniff');
    expect(header('content-security-policy')).toBe("sandbox; default-src 'none'");
    expect(header('etag')).toBe(`"${file.sha256}"`);
    expect(header('content-length')).toBe(String(file.size));
    expect(header('cache-control')).toBe('private, no-cache');
    expect(header('content-type')).toBe(file.contentType);
    expect(await response.text()).toBe('<script>alert(1)</script>');
  });

  test('is 304 for who has it, and HEAD has no body', async () => {
    const file = await bodyOf<FileJson>(await upload('text', { 'Content-Type': 'text/plain' }));
    const cached = await api.call(file.url, {
      user: 'ada',
      headers: { 'If-None-Match': `"${file.sha256}"`, 'Cache-Control': 'max-age=0' },
    });
    expect([cached.status, await cached.text()]).toEqual([304, '']);
    const head = await api.call(file.url, { user: 'ada', method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '4', '']);
  });

  test('who leaves in the middle of a download frees the file, and that is no error', async () => {
    const stalled = new Readable({ read: () => undefined });
    stalled.push('the beginning');
    const freed = new Promise((resolve) => stalled.once('close', resolve));
    const file = { id: '', name: 'a', contentType: 'text/plain', size: 100, sha256: 'f', url: '', createdAt: '' };
    const openFile = async () => Promise.resolve({ file, stream: stalled });
    const left = await startApi({
      databaseUrl: api.deps.config.database.url ?? '',
      deps: { uploads: { ...api.deps.uploads, openFile } },
    });
    try {
      const leaving = new AbortController();
      const id = '00000000-0000-7000-8000-000000000000';
      const response = await left.call(`/v1/files/${id}`, { user: 'ada', signal: leaving.signal });
      expect(response.status).toBe(200);
      leaving.abort();
      await within(freed, 'the file to be closed');
      await left.logs.first(({ status }) => status === 499, 'the line of the call');
      await left.call('/nowhere', { headers: { 'X-Request-ID': 'later' } });
      await left.logs.first(({ httpRequestId }) => httpRequestId === 'later', 'a later line');
      expect(left.logs.items.filter(({ level }) => level > 30)).toEqual([]);
    } finally {
      await left.close();
    }
  });
});
