import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestKit, type TestKit } from '../../testing/index.js';

import { systemClock } from '../../platform/clock.js';
import { OfflineAssistant } from './offline-assistant.js';

let kit: TestKit;
let assistant: OfflineAssistant;

beforeAll(async () => {
  kit = await startTestKit();
  assistant = new OfflineAssistant(kit.database.sql, systemClock, 0);
  await note('alice', 'Groceries', 'Milk and bread. The budget is 50.');
  await note('alice', 'Budget 2027', 'Spend less on everything.');
  await note('alice', 'Holidays', 'Where to go', ['budget']);
  await note('bob', 'Budget of Bob', 'A secret budget');
  const done = await kit.run('alice', { type: 'task.creation.requested', data: { title: 'Old budget' } });
  await kit.run('alice', { type: 'task.completion.requested', data: { taskId: done.aggregateId } });
  await kit.run('alice', {
    type: 'task.creation.requested',
    data: { title: 'Send the budget', dueDate: '2026-12-24' },
  });
  await kit.run('alice', { type: 'task.creation.requested', data: { title: 'Water the plants' } });
});
afterAll(() => kit.end());

const note = (userId: string, title: string, content: string, tags: string[] = []) =>
  kit.run(userId, { type: 'note.creation.requested', data: { title, content, tags } });

async function ask(userId: string, content: string) {
  const pieces: string[] = [];
  const signal = new AbortController().signal;
  const answer = await assistant.answer({
    userId,
    turns: [{ role: 'user', content }],
    signal,
    idempotencyKey: 'k',
    onText: (text) => pieces.push(text),
  });
  return { ...answer, pieces, lines: answer.text.split('\n').filter((line) => line.startsWith('- ')) };
}

describe('the offline assistant', () => {
  test('names what it finds, the best match first, open tasks before completed ones', async () => {
    const { text, lines } = await ask('alice', 'What do I know about budgets?');
    expect(text).toMatch(/^I found 3 notes and 2 tasks about "budget":/);
    expect(lines).toEqual([
      '- The note "Budget 2027": Spend less on everything.',
      '- The note "Holidays": Where to go',
      '- The note "Groceries": Milk and bread. The budget is 50.',
      '- The task "Send the budget", still open and due on 2026-12-24.',
      expect.stringMatching(/^- The task "Old budget", completed on \d{4}-\d{2}-\d{2}\.$/),
    ]);
  });

  test('says what it is and how to get the real one', async () => {
    for (const question of ['budget', 'unheard of', 'Hello!', 'open tasks']) {
      const { text } = await ask('alice', question);
      expect(text).toContain('offline assistant');
      expect(text).toContain('ANTHROPIC_API_KEY');
    }
  });

  test('says so when there is nothing', async () => {
    expect((await ask('alice', 'zeppelin')).text).toMatch(
      /^I found nothing about "zeppelin" in your notes and tasks\./,
    );
  });

  test('never sees what belongs to somebody else', async () => {
    expect((await ask('bob', 'budget')).lines).toEqual(['- The note "Budget of Bob": A secret budget']);
    expect((await ask('carol', 'budget')).text).toContain('nothing');
  });

  test('lists open tasks, due ones first, and newest notes when asked for just those', async () => {
    expect((await ask('alice', 'Show my open tasks')).lines.map((line) => /"(.*?)"/.exec(line)?.[1])).toEqual([
      'Send the budget',
      'Water the plants',
    ]);
    expect((await ask('alice', 'my latest notes')).lines.map((line) => /"(.*?)"/.exec(line)?.[1])).toEqual([
      'Holidays',
      'Budget 2027',
      'Groceries',
    ]);
    expect((await ask('carol', 'my tasks')).text).toMatch(/^You have no open tasks\./);
  });

  test('takes the words of a question as words, whatever they hold', async () => {
    expect((await ask('alice', `100% _ \\ ' OR 1=1 --`)).text).toContain('nothing');
  });

  test('streams just the text that it answers with', async () => {
    const { text, pieces } = await ask('alice', 'budget');
    expect(pieces.length).toBeGreaterThan(10);
    expect(pieces.join('')).toBe(text);
  });

  test('stops when it is told to', async () => {
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const answering = assistant.answer({
      userId: 'alice',
      turns: [{ role: 'user', content: 'budget' }],
      signal: abort.signal,
      idempotencyKey: 'k',
      onText: () => abort.abort(reason),
    });
    await expect(answering).rejects.toBe(reason);
  });
});
