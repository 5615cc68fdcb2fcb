import type { Actions } from '../actions.js';
import type { Project } from '../core/entities.js';
import type { State } from '../core/state.js';
import type { Store } from '../core/store.js';
import { find, h, setText, type Row } from '../dom.js';
import { shortTime } from '../format.js';
import { FormFault, onSubmit } from '../forms.js';
import { collectionView } from './collection.js';

interface Shown extends Project {
  readonly open: number;
  readonly total: number;
}

export function projectsView(store: Store<State>, actions: Actions): void {
  onSubmit(find('project-form', HTMLFormElement), async ({ name = '', description = '' }) => {
    if (name === '') throw new FormFault('name', 'A project needs a name');
    await actions.createProject({ name, ...(description !== '' && { description }) });
  });
  const render = collectionView<Shown>({
    list: find('project-list', HTMLUListElement),
    create: projectRow,
    empty: ['No projects yet', 'A project gathers tasks; create one and choose it when you add a task.'],
    load: (cursor) => actions.load('projects', cursor),
  });
  store.subscribe((state) =>
    render({ ...state.projects, items: state.projects.items.map((project) => shown(project, state)) }),
  );
}

function shown(project: Project, { tasks }: State): Shown {
  const own = tasks.items.filter(({ projectId }) => projectId === project.id);
  return { ...project, total: own.length, open: own.filter(({ completedAt }) => completedAt === undefined).length };
}

function projectRow(project: Shown): Row<Shown> {
  const count = h('span');
  const element = h(
    'li',
    { class: 'item' },
    h('h2', {}, project.name),
    project.description !== undefined && h('p', { class: 'excerpt' }, project.description),
    h('p', { class: 'meta' }, h('time', { datetime: project.createdAt }, shortTime(project.createdAt)), count),
  );
  return {
    element,
    update: ({ open, total }) => setText(count, total === 0 ? 'No tasks' : `${open} of ${total} open`),
  };
}
