import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestKit, type TestKit } from '../../testing/index.js';

import { createUploads, type Uploads } from '../files/uploads.js';
import { NoteCreationRequested } from './events.js';
import { excerptOf, type NoteSummary } from './projection.js';

let kit: TestKit;
let uploads: Uploads;

beforeAll(async () => {
  kit = await startTestKit();
  uploads = createUploads({ storage: kit.services.storage, sql: kit.database.sql });
});
afterAll(() => kit.end());

const asked = (data: object) => ({ type: 'note.creation.requested', data });
const create = (userId: string, data: object, more: { aggregateId?: string } = {}) =>
  kit.run(userId, { ...asked(data), ...more });

const upload = (userId: string, content: Buffer, contentType: string) =>
  uploads.saveUpload({ userId, name: 'upload', contentType, stream: Readable.from([content]), maxBytes: 10_000_000 });

type NotesPage = { items: NoteSummary[]; nextCursor?: string };

describe('a note from text', () => {
  test('has its file stored, is readable by its owner, and tells all that a page needs', async () => {
    const { eventId, aggregateId, last } = await create('alice', {
      title: ' Budget ',
      content: '# Plan\n\nSpend less.',
      tags: ['q3'],
    });
    const note = await kit.read('alice', '/v1/notes/:id', { params: { id: aggregateId } });
    expect(note).toMatchObject({
      title: 'Budget',
      content: '# Plan\n\nSpend less.',
      tags: ['q3'],
      excerpt: '# Plan Spend less.',
    });
    const { content: _content, ...summary } = note as NoteSummary & { content: string };
    expect(last).toMatchObject({ type: 'note.creation.completed', status: 'success' });
    expect(last?.data).toEqual({ entityId: aggregateId, ...summary });
    const opened = await uploads.openFile('alice', eventId);
    expect(opened?.file).toMatchObject({ name: 'Budget.md', contentType: 'text/markdown', url: summary.fileUrl });
    expect(await text(opened!.stream)).toBe('# Plan\n\nSpend less.');
  });

  test('tells its story: uploaded, created, completed, all caused by the request', async () => {
    const { eventId, aggregateId, emitted: story } = await create('alice', { title: 'Story', content: 'x' });
    expect(story.map(({ type }) => type)).toEqual(['file.uploaded', 'entity.created', 'note.creation.completed']);
    expect(story[0]?.data).toMatchObject({ fileId: eventId, fileUrl: `/v1/files/${eventId}`, size: 1 });
    expect(story[0]?.data).not.toHaveProperty('content');
    expect(story[1]?.data).toEqual({ entityId: aggregateId, entityType: 'note', title: 'Story' });
  });

  test('is announced as pending before it is done', async () => {
    const { aggregateId, notifications } = await create('alice', { title: 'Soon', content: 'x' });
    expect(notifications.map(({ type, status }) => [type, status])).toEqual([
      ['note.creation.started', 'pending'],
      ['note.creation.completed', 'success'],
    ]);
    expect(notifications[0]?.data).toEqual({ entityId: aggregateId, title: 'Soon' });
  });

  test('that is restarted is still one note with one file', async () => {
    const note = asked({ title: 'Again', content: 'x' });
    const { eventId, aggregateId } = await kit.run('restarted', note, { dieAfter: 'create-entity-projection' });
    expect(await kit.replay(eventId, 'restart')).toMatchObject({ outcome: 'completed' });
    const { items } = (await kit.read('restarted', '/v1/notes')) as NotesPage;
    expect(items.map(({ id }) => id)).toEqual([aggregateId]);
    expect(await (await kit.database.prisma()).file.count({ where: { userId: 'restarted' } })).toBe(1);
  });

  test('survives crashes, and its file is stored under one name', async () => {
    const note = asked({ title: 'Tough', content: 'x', tags: ['a'] });
    await kit.survivesCrashes('survivor', note, async ({ run, kit: copy }) => {
      const [file] = await copy.sql.selectFrom('files').select('path').where('userId', '=', 'survivor').execute();
      expect(await text(await kit.services.storage.open(file!.path))).toBe('x');
      expect(run.steps['upload-to-storage']).toMatchObject({ path: file!.path });
    });
  }, 60_000);

  test('is counted where it came to be, and not where it failed', async () => {
    const counted = async () => (await kit.metrics.notesCreated.get()).values[0]?.value ?? 0;
    const before = await counted();
    await create('counter', { title: 'One', content: 'x' }, { aggregateId: 'one' });
    await create('counter', { title: 'Another', content: 'x' }, { aggregateId: 'one' });
    expect(await counted()).toBe(before + 1);
  });

  test('never replaces another note under the same id', async () => {
    await create('alice', { title: 'First', content: 'kept' }, { aggregateId: 'my-note' });
    const { last, outcome } = await create('alice', { title: 'First', content: 'other' }, { aggregateId: 'my-note' });
    expect(outcome).toBe('dead');
    expect(last).toMatchObject({
      type: 'note.creation.failed',
      status: 'error',
      error: { code: 'note_already_exists' },
    });
    expect(await kit.read('alice', '/v1/notes/:id', { params: { id: 'my-note' } })).toMatchObject({ content: 'kept' });
  });

  test('may have the id of another user’s note', async () => {
    await create('alice', { title: 'Hers', content: 'x' }, { aggregateId: 'shared-id' });
    await create('bob', { title: 'His', content: 'y' }, { aggregateId: 'shared-id' });
    expect(await kit.read('alice', '/v1/notes/:id', { params: { id: 'shared-id' } })).toMatchObject({ title: 'Hers' });
    expect(await kit.read('bob', '/v1/notes/:id', { params: { id: 'shared-id' } })).toMatchObject({ title: 'His' });
  });

  test('keeps to its user’s folder, whatever the user is called', async () => {
    const { last } = await create('../../etc', { title: '../x', content: 'y' });
    expect(last?.data).toMatchObject({
      filePath: expect.stringMatching(/^~[0-9a-f]{40}\/[0-9a-f-]{36}\.md$/) as unknown,
    });
  });
});

describe('a note from an upload', () => {
  test('takes the text of a text file as its content', async () => {
    const file = await upload('alice', Buffer.from('From a file.'), 'text/plain');
    const { last, aggregateId } = await create('alice', { title: 'Upload', fileId: file.id });
    expect(last?.data).toMatchObject({
      fileId: file.id,
      fileUrl: file.url,
      excerpt: 'From a file.',
      contentLength: 12,
    });
    expect(await kit.read('alice', '/v1/notes/:id', { params: { id: aggregateId } })).toMatchObject({
      content: 'From a file.',
    });
  });

  test.each([
    ['a picture', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), 'image/png'],
    ['text that is not UTF-8 further on', Buffer.concat([Buffer.alloc(2_000, 'a'), Buffer.from([0xff])]), 'text/plain'],
    ['text that Postgres cannot store', Buffer.concat([Buffer.alloc(2_000, 'a'), Buffer.from([0])]), 'text/plain'],
    ['text that is too large', Buffer.alloc(1_000_001, 'a'), 'text/plain'],
  ])('attaches %s and leaves the content empty', async (_what, bytes, contentType) => {
    const file = await upload('alice', bytes, contentType);
    const { last } = await create('alice', { title: 'Attached', fileId: file.id });
    expect(last).toMatchObject({ status: 'success', data: { fileId: file.id, excerpt: '', contentLength: 0 } });
  });

  test('survives crashes', async () => {
    const file = await upload('survivor', Buffer.from('From a file.'), 'text/plain');
    await kit.survivesCrashes('survivor', asked({ title: 'Upload', fileId: file.id }));
  }, 60_000);

  test('of somebody else is not found, at once and with a reason for the user', async () => {
    const file = await upload('bob', Buffer.from('secret'), 'text/plain');
    const { last, outcome } = await create('alice', { title: 'Theirs', fileId: file.id });
    expect(outcome).toBe('dead');
    expect(last).toMatchObject({
      type: 'note.creation.failed',
      error: { code: 'file_not_found', message: 'There is no such file among yours.' },
    });
  });
});

describe('the request for a note', () => {
  test.each([
    ['no title', { content: 'x' }, 'title'],
    ['an empty title', { title: '  ', content: 'x' }, 'title'],
    ['a long title', { title: 'x'.repeat(501), content: 'x' }, 'title'],
    ['neither content nor file', { title: 'x' }, 'content'],
    ['content and file', { title: 'x', content: 'x', fileId: '0199aaaa-0000-7000-8000-000000000000' }, 'content'],
    ['long content', { title: 'x', content: 'x'.repeat(1_000_001) }, 'content'],
    ['too many tags', { title: 'x', content: 'x', tags: Array.from({ length: 51 }, () => 'a') }, 'tags'],
    ['a long tag', { title: 'x', content: 'x', tags: ['x'.repeat(101)] }, 'tags.0'],
  ])('with %s is refused', (_what, data, path) => {
    const faults = NoteCreationRequested.data.safeParse(data).error?.issues ?? [];
    expect(faults.map((fault) => fault.path.join('.'))).toContain(path);
  });
});

describe('the list of notes', () => {
  test('has each of the user’s notes once, newest first, page by page, without their content', async () => {
    for (let n = 1; n <= 5; n++) await create('pager', { title: `Note ${n}`, content: 'x' });
    // Notes of the same millisecond are told apart by their id.
    await kit.database.pool.query(
      `UPDATE notes SET "createdAt" = now() WHERE "userId" = 'pager' AND title IN ('Note 2', 'Note 3', 'Note 4')`,
    );
    const seen: NoteSummary[] = [];
    let cursor: string | undefined;
    do {
      const page = (await kit.read('pager', '/v1/notes', {
        query: { limit: '2', ...(cursor !== undefined && { cursor }) },
      })) as NotesPage;
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(5);
    expect(seen.map(({ createdAt }) => createdAt)).toEqual(
      seen
        .map(({ createdAt }) => createdAt)
        .toSorted()
        .toReversed(),
    );
    expect(seen[0]).not.toHaveProperty('content');
  });

  test('is empty for a stranger, and a note of another user is not there', async () => {
    const { aggregateId } = await create('alice', { title: 'Mine', content: 'x' });
    expect(await kit.read('stranger', '/v1/notes')).toEqual({ items: [] });
    expect(await kit.read('stranger', '/v1/notes/:id', { params: { id: aggregateId } })).toBeUndefined();
  });

  test.each([{ limit: '0' }, { limit: '101' }, { limit: 'many' }, { cursor: '' }])('refuses %j', async (query) => {
    await expect(kit.read('alice', '/v1/notes', { query })).rejects.toMatchObject({ name: 'ZodError' });
  });
});

test('an excerpt is one line of at most 280 characters that ends with an ellipsis where something is missing', () => {
  expect(excerptOf('  a\n\n b ')).toBe('a b');
  expect(excerptOf('x'.repeat(280))).toBe('x'.repeat(280));
  expect(excerptOf('x'.repeat(281))).toBe(`${'x'.repeat(279)}…`);
  expect(excerptOf(`a${' '.repeat(5_000)}b`)).toBe('a…');
  expect(excerptOf(`${'x'.repeat(278)}😀 and more`).isWellFormed()).toBe(true);
});
