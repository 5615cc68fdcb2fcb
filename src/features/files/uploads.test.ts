import { readdir } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestKit, type TestKit } from '../../testing/index.js';

import type { Storage } from './storage.js';
import { createUploads, type Uploads } from './uploads.js';

let kit: TestKit;
let uploads: Uploads;

beforeAll(async () => {
  kit = await startTestKit();
  uploads = createUploads({ storage: kit.services.storage, sql: kit.database.sql });
});
afterAll(() => kit.end());

const upload = (userId: string, stream: Readable, maxBytes = 1_000_000) =>
  uploads.saveUpload({ userId, name: '../report.md', contentType: 'application/octet-stream', stream, maxBytes });

describe('an upload', () => {
  test('is kept with its cleaned name, type, size and hash, and opens for its owner', async () => {
    const file = await upload('alice', Readable.from([Buffer.from('# Rep'), Buffer.from('ort\n'.repeat(2_000))]));
    expect(file).toMatchObject({
      name: 'report.md',
      contentType: 'text/markdown',
      size: 8_005,
      url: `/v1/files/${file.id}`,
    });
    const opened = await uploads.openFile('alice', file.id);
    expect(opened?.file).toEqual(file);
    expect(await text(opened!.stream)).toBe(`# Rep${'ort\n'.repeat(2_000)}`);
  });

  test('is not there for anybody else, nor under an id that is none', async () => {
    const file = await upload('alice', Readable.from([Buffer.from('x')]));
    expect(await uploads.openFile('bob', file.id)).toBeUndefined();
    expect(await uploads.openFile('alice', randomUUID())).toBeUndefined();
    expect(await uploads.openFile('alice', "' OR 1=1")).toBeUndefined();
  });

  test('that is too large or breaks off leaves neither bytes nor row, and the source open', async () => {
    const before = await files('carol');
    const large = Readable.from(
      (function* endless() {
        for (;;) yield Buffer.alloc(2_000);
      })(),
    );
    await expect(upload('carol', large, 5_000)).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(large.destroyed).toBe(false);
    const broken = new Readable({ read: () => undefined });
    broken.push(Buffer.alloc(2_000));
    const saving = upload('carol', broken);
    broken.destroy(new Error('the client is gone'));
    await expect(saving).rejects.toThrow('the client is gone');
    expect(await files('carol')).toEqual(before);
  });

  test('whose row is refused takes its bytes back', async () => {
    const kept: string[] = [];
    const storage = { ...watched(kit, kept) };
    const faulty = createUploads({ storage, sql: kit.database.sql });
    // A user id that Postgres cannot store: a stand-in for any refusal.
    const saving = faulty.saveUpload({
      userId: 'a\u0000b',
      name: 'x',
      contentType: '',
      stream: Readable.from([Buffer.from('x')]),
      maxBytes: 10,
    });
    await expect(saving).rejects.toThrow('invalid byte sequence');
    expect(kept).toHaveLength(1);
    await expect(kit.services.storage.open(kept[0]!)).rejects.toMatchObject({ code: 'not_found' });
  });
});

/** The real storage, with a note of what was put. */
function watched({ services: { storage } }: TestKit, kept: string[]): Storage {
  return {
    put: async (path, ...rest) => {
      kept.push(path);
      return storage.put(path, ...rest);
    },
    open: (path) => storage.open(path),
    delete: (path) => storage.delete(path),
  };
}

async function files(userId: string): Promise<unknown> {
  const rows = await kit.database.sql.selectFrom('files').select('id').where('userId', '=', userId).execute();
  const onDisk = await readdir(kit.storageDirectory, { recursive: true });
  return { rows, onDisk: onDisk.filter((name) => name.includes(userId) || name.startsWith('.incoming/')) };
}
