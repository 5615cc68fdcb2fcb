import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createMetrics } from '../../platform/metrics.js';
import { LocalStorage } from './local-storage.js';
import { meterStorage } from './metered-storage.js';

let directory: string;
let storage: LocalStorage;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'synap-storage-'));
  storage = new LocalStorage(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Every file below the directory, unfinished ones too. */
async function allFiles(): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('local storage', () => {
  test('gives back what was put, and says its size and hash', async () => {
    const content = 'Wörld\n'.repeat(50_000);
    const stored = await storage.put('alice/f1.md', Readable.from([Buffer.from(content)]));
    expect(stored).toEqual({
      path: 'alice/f1.md',
      size: Buffer.byteLength(content),
      sha256: createHash('sha256').update(content).digest('hex'),
    });
    expect(await text(await storage.open('alice/f1.md'))).toBe(content);
  });

  test('putting again replaces, so that a repeated step is harmless', async () => {
    await storage.put('alice/f1.md', 'first');
    await storage.put('alice/f1.md', 'second');
    expect(await text(await storage.open('alice/f1.md'))).toBe('second');
    expect(await allFiles()).toHaveLength(1);
  });

  test('an empty object is an object', async () => {
    expect(await storage.put('alice/empty', '')).toMatchObject({ size: 0 });
    expect(await text(await storage.open('alice/empty'))).toBe('');
  });

  test('too many bytes leave nothing and change nothing', async () => {
    await storage.put('alice/f1', 'old');
    const large = Readable.from([Buffer.alloc(60), Buffer.alloc(60)]);
    await expect(storage.put('alice/f1', large, { maxBytes: 100 })).rejects.toMatchObject({
      code: 'payload_too_large',
      status: 413,
    });
    expect(await text(await storage.open('alice/f1'))).toBe('old');
    expect(await allFiles()).toHaveLength(1);
  });

  test('a source that breaks off leaves nothing', async () => {
    const broken = Readable.from(
      (async function* source() {
        yield Buffer.from('half');
        await Promise.reject(new Error('the client is gone'));
      })(),
    );
    await expect(storage.put('alice/f1', broken)).rejects.toThrow('the client is gone');
    expect(await allFiles()).toEqual([]);
    await expect(storage.open('alice/f1')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('an aborted write leaves nothing', async () => {
    const abort = new AbortController();
    const endless = new Readable({ read: () => undefined });
    endless.push('some');
    const writing = storage.put('alice/f1', endless, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(writing).rejects.toThrow('aborted');
    expect(await allFiles()).toEqual([]);
  });

  test.each([
    '../f1',
    '/etc/passwd',
    'a/../../f1',
    'a//b',
    '.incoming/x',
    'a/.hidden',
    '',
    'a/',
    'a\u0000b',
    '..',
    'C:\\x',
  ])('has no place for %j', async (path) => {
    await expect(storage.put(path, 'x')).rejects.toMatchObject({ code: 'internal' });
    await expect(storage.open(path)).rejects.toMatchObject({ code: 'internal' });
    await expect(storage.delete(path)).rejects.toMatchObject({ code: 'internal' });
  });

  test('deletes, and does not mind that there is nothing', async () => {
    await storage.put('alice/f1', 'x');
    await storage.delete('alice/f1');
    await storage.delete('alice/f1');
    await expect(storage.open('alice/f1')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('sweeps what a killed process left a day ago, and nothing newer', async () => {
    const incoming = join(directory, '.incoming');
    await mkdir(incoming);
    const [old, recent] = [join(incoming, 'old'), join(incoming, 'recent')];
    await writeFile(old, 'x');
    await writeFile(recent, 'x');
    await utimes(old, new Date(0), new Date(0));
    await storage.put('alice/f1', 'x');
    expect(await readdir(incoming)).toEqual(['recent']);
  });
});

test('metered storage counts and times operations, failures and bytes both ways', async () => {
  const metrics = createMetrics('test_');
  const metered = meterStorage(storage, metrics);
  await metered.put('alice/f1', 'hello');
  await text(await metered.open('alice/f1'));
  await expect(metered.open('alice/none')).rejects.toMatchObject({ code: 'not_found' });
  const shown = await metrics.registry.metrics();
  expect(shown).toContain('test_storage_operations_total{operation="put",status="success"} 1');
  expect(shown).toContain('test_storage_operations_total{operation="open",status="error"} 1');
  expect(shown).toContain('test_storage_operation_duration_seconds_count{operation="put",status="success"} 1');
  expect(shown).toContain('test_storage_operation_duration_seconds_count{operation="open",status="error"} 1');
  expect(shown).toContain('test_storage_bytes_transferred_total{direction="written"} 5');
  expect(shown).toContain('test_storage_bytes_transferred_total{direction="read"} 5');
});
