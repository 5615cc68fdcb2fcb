import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startFeatures, type FeatureTest } from '../../../test/support/features.js';

let kit: FeatureTest;
beforeAll(async () => {
  kit = await startFeatures();
});
afterAll(() => kit.end());

const create = (userId: string, data: object, more: { aggregateId?: string } = {}) =>
  kit.attempts.run(userId, { type: 'project.creation.requested', data, ...more });

test('a project is created, listed, and told whole', async () => {
  const { eventId, aggregateId, last } = await create('alice', { name: 'House', description: 'A new roof' });
  const project = await kit.read('alice', '/v1/projects/:id', { params: { id: aggregateId } });
  expect(project).toMatchObject({ id: aggregateId, name: 'House', description: 'A new roof' });
  expect(last).toMatchObject({
    type: 'project.creation.completed',
    status: 'success',
    data: { entityId: aggregateId, ...(project as object) },
  });
  expect(await kit.read('alice', '/v1/projects')).toEqual({ items: [project] });
  expect((await kit.attempts.caused(eventId)).map(({ type, data }) => [type, data])).toEqual([
    ['project.creation.completed', { projectId: aggregateId }],
  ]);
});

test('a project of another user is not there', async () => {
  const { aggregateId } = await create('alice', { name: 'Hers' });
  expect(await kit.read('bob', '/v1/projects/:id', { params: { id: aggregateId } })).toBeUndefined();
  expect(await kit.read('bob', '/v1/projects')).toEqual({ items: [] });
});

test('a restarted creation is one project, and another one under its id is refused', async () => {
  const { eventId } = await create('carol', { name: 'Once' }, { aggregateId: 'p1' });
  expect(await kit.attempts.restart(eventId)).toMatchObject({ kind: 'done' });
  const { last } = await create('carol', { name: 'Twice' }, { aggregateId: 'p1' });
  expect(last).toMatchObject({
    type: 'project.creation.failed',
    status: 'error',
    error: { code: 'project_already_exists' },
  });
  expect(await kit.read('carol', '/v1/projects')).toMatchObject({ items: [{ name: 'Once' }] });
});
