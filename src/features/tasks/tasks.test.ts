import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestKit, type TestKit } from '../../testing/index.js';

import { TaskCompletionRequested, TaskCreationRequested } from './events.js';
import type { TaskView } from './projection.js';

let kit: TestKit;
beforeAll(async () => {
  kit = await startTestKit();
});
afterAll(() => kit.end());

const create = (userId: string, data: object, more: { aggregateId?: string } = {}) =>
  kit.run(userId, { type: 'task.creation.requested', data, ...more });
const complete = (userId: string, taskId: string) =>
  kit.run(userId, { type: 'task.completion.requested', data: { taskId } });
const titles = async (userId: string, query: object) =>
  ((await kit.read(userId, '/v1/tasks', { query })) as { items: TaskView[] }).items.map(({ title }) => title);

describe('a task', () => {
  test('is created with all its parts, and told whole', async () => {
    const project = await kit.run('alice', { type: 'project.creation.requested', data: { name: 'House' } });
    const { aggregateId, last } = await create('alice', {
      title: 'Call the roofer',
      description: 'Ask for a price',
      dueDate: '2026-12-24T18:00:00+01:00',
      projectId: project.aggregateId,
    });
    const task = await kit.read('alice', '/v1/tasks/:id', { params: { id: aggregateId } });
    expect(task).toMatchObject({
      status: 'open',
      dueDate: '2026-12-24T17:00:00.000Z',
      projectId: project.aggregateId,
      completedAt: null,
    });
    expect(last).toMatchObject({ type: 'task.creation.completed', status: 'success' });
    expect(last?.data).toEqual({ entityId: aggregateId, ...(task as TaskView) });
  });

  test('may be due on a day', async () => {
    const { last } = await create('alice', { title: 'Today', dueDate: '2026-12-24' });
    expect(last?.data).toMatchObject({ dueDate: '2026-12-24T00:00:00.000Z', description: null, projectId: null });
  });

  test('never joins a project of another user', async () => {
    const project = await kit.run('bob', { type: 'project.creation.requested', data: { name: 'His' } });
    const { last, outcome } = await create('alice', { title: 'Intruder', projectId: project.aggregateId });
    expect(outcome).toBe('dead');
    expect(last).toMatchObject({ type: 'task.creation.failed', status: 'error', error: { code: 'project_not_found' } });
    expect(await titles('alice', { projectId: project.aggregateId })).toEqual([]);
  });

  test('that is restarted is one task, and another one under its id is refused', async () => {
    const once = { type: 'task.creation.requested', data: { title: 'Once' }, aggregateId: 't1' };
    const { eventId } = await kit.run('carol', once, { dieAfter: 'create-entity-projection' });
    expect(await kit.replay(eventId, 'restart')).toMatchObject({ outcome: 'completed' });
    expect((await create('carol', { title: 'Once', description: 'x' }, { aggregateId: 't1' })).last).toMatchObject({
      error: { code: 'task_already_exists' },
    });
    expect(await titles('carol', {})).toEqual(['Once']);
  });

  test.each([
    ['no title', {}],
    ['a due date that is none', { title: 'x', dueDate: 'tomorrow' }],
    ['a due date that is not in the calendar', { title: 'x', dueDate: '2026-02-30' }],
    ['a due date before the first year', { title: 'x', dueDate: '0000-12-31' }],
    ['a due time that is after the last year in UTC', { title: 'x', dueDate: '9999-12-31T23:59:59-01:00' }],
    ['a due time without offset', { title: 'x', dueDate: '2026-12-24T18:00:00' }],
    ['a project id that is none', { title: 'x', projectId: 'a b' }],
  ])('with %s is refused', (_what, data) => {
    expect(TaskCreationRequested.data.safeParse(data).success).toBe(false);
  });
});

describe('completing a task', () => {
  test('tells the whole task and the event that says when', async () => {
    const { aggregateId } = await create('dora', { title: 'Done' });
    const { emitted, last } = await complete('dora', aggregateId);
    const task = (await kit.read('dora', '/v1/tasks/:id', { params: { id: aggregateId } })) as TaskView;
    expect(task.status).toBe('completed');
    expect(last).toMatchObject({ type: 'task.completion.processed', status: 'success' });
    expect(last?.data).toEqual({ entityId: aggregateId, ...task });
    expect(emitted).toMatchObject([
      { type: 'task.completion.processed', data: { taskId: aggregateId, completedAt: task.completedAt } },
    ]);
  });

  test('twice is no error and answers with the first time', async () => {
    const { aggregateId } = await create('dora', { title: 'Twice' });
    const first = await complete('dora', aggregateId);
    const second = await complete('dora', aggregateId);
    expect(second.last?.status).toBe('success');
    expect(second.last?.data).toEqual(first.last?.data);
  });

  test('of another user or of none is not found, and changes nothing', async () => {
    const { aggregateId } = await create('dora', { title: 'Hers' });
    for (const [userId, taskId] of [
      ['eve', aggregateId],
      ['dora', 'unknown'],
    ] as const) {
      const { last, outcome } = await complete(userId, taskId);
      expect(outcome).toBe('dead');
      expect(last).toMatchObject({
        type: 'task.completion.failed',
        status: 'error',
        error: { code: 'task_not_found' },
      });
    }
    expect(await kit.read('dora', '/v1/tasks/:id', { params: { id: aggregateId } })).toMatchObject({ status: 'open' });
  });

  test('belongs to the task as its aggregate', () => {
    expect(TaskCompletionRequested.aggregateIdOf?.({ taskId: 't1' })).toBe('t1');
  });
});

test('the list of tasks narrows by status and project, and never shows another user’s', async () => {
  const project = await kit.run('frank', { type: 'project.creation.requested', data: { name: 'P' } });
  const open = await create('frank', { title: 'Open', projectId: project.aggregateId });
  const done = await create('frank', { title: 'Done' });
  await complete('frank', done.aggregateId);
  expect(await titles('frank', {})).toEqual(['Done', 'Open']);
  expect(await titles('frank', { status: 'open' })).toEqual(['Open']);
  expect(await titles('frank', { status: 'completed' })).toEqual(['Done']);
  expect(await titles('frank', { projectId: project.aggregateId })).toEqual(['Open']);
  expect(await titles('grace', {})).toEqual([]);
  expect(await kit.read('grace', '/v1/tasks/:id', { params: { id: open.aggregateId } })).toBeUndefined();
});

test('creating and completing a task survive crashes', async () => {
  const project = await kit.run('survivor', { type: 'project.creation.requested', data: { name: 'P' } });
  const data = { title: 'Tough', dueDate: '2026-12-24', projectId: project.aggregateId };
  await kit.survivesCrashes('survivor', { type: 'task.creation.requested', data });
  const { aggregateId: taskId } = await create('survivor', data);
  await kit.survivesCrashes('survivor', { type: 'task.completion.requested', data: { taskId } });
}, 60_000);
