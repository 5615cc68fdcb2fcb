import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startTestKit, type TestKit } from '../../testing/index.js';

let kit: TestKit;
beforeAll(async () => {
  kit = await startTestKit();
});
afterAll(() => kit.end());

const create = (userId: string, data: object, more: { aggregateId?: string } = {}) =>
  kit.run(userId, { type: 'project.creation.requested', data, ...more });

test('a project is created, listed, and told whole', async () => {
  const { emitted, aggregateId, last } = await create('alice', { name: 'House', description: 'A new roof' });
  const project = await kit.read('alice', '/v1/projects/:id', { params: { id: aggregateId } });
  expect(project).toMatchObject({ id: aggregateId, name: 'House', description: 'A new roof' });
  expect(last).toMatchObject({
    type: 'project.creation.completed',
    status: 'success',
    data: { entityId: aggregateId, ...(project as object) },
  });
  expect(await kit.read('alice', '/v1/projects')).toEqual({ items: [project] });
  expect(emitted.map(({ type, data }) => [type, data])).toEqual([
    ['project.creation.completed', { projectId: aggregateId }],
  ]);
});

test('a project of another user is not there', async () => {
  const { aggregateId } = await create('alice', { name: 'Hers' });
  expect(await kit.read('bob', '/v1/projects/:id', { params: { id: aggregateId } })).toBeUndefined();
  expect(await kit.read('bob', '/v1/projects')).toEqual({ items: [] });
});

test('a restarted creation is one project, and another one under its id is refused', async () => {
  const once = { type: 'project.creation.requested', data: { name: 'Once' }, aggregateId: 'p1' };
  const { eventId } = await kit.run('carol', once, { dieAfter: 'create-entity-projection' });
  expect(await kit.replay(eventId, 'restart')).toMatchObject({ outcome: 'completed' });
  const { last } = await create('carol', { name: 'Twice' }, { aggregateId: 'p1' });
  expect(last).toMatchObject({
    type: 'project.creation.failed',
    status: 'error',
    error: { code: 'project_already_exists' },
  });
  expect(await kit.read('carol', '/v1/projects')).toMatchObject({ items: [{ name: 'Once' }] });
});

test('creating a project survives crashes', async () => {
  const asked = { type: 'project.creation.requested', data: { name: 'Tough', description: 'As leather' } };
  await kit.survivesCrashes('survivor', asked);
}, 60_000);
