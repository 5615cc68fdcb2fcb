import type { Actions } from '../actions.js';
import type { Project, Task } from '../core/entities.js';
import type { State } from '../core/state.js';
import type { Store } from '../core/store.js';
import { find, h, icon, setText, type Row } from '../dom.js';
import { dueText, isPast } from '../format.js';
import { FormFault, onSubmit } from '../forms.js';
import { collectionView } from './collection.js';

/** A task with what its row shows besides: derived from the state, so that rows stay plain. */
interface Shown extends Task {
  readonly projectName: string | undefined;
  readonly progress: State['completing'][string] | undefined;
}

export function tasksView(store: Store<State>, actions: Actions): void {
  taskForm(store, actions);
  const render = collectionView<Shown>({
    list: find('task-list', HTMLUListElement),
    create: (task) => taskRow(task, actions),
    empty: ['Nothing to do', 'Tasks appear here the moment a worker has made them.'],
    load: (cursor) => actions.load('tasks', cursor),
  });
  store.subscribe((state) =>
    render({ ...state.tasks, items: openFirst(state.tasks.items).map((task) => shown(task, state)) }),
  );
}

const openFirst = (tasks: readonly Task[]): Task[] =>
  tasks.toSorted((a, b) => Number(a.completedAt !== undefined) - Number(b.completedAt !== undefined));

function shown(task: Task, state: State): Shown {
  const project = state.projects.items.find(({ id }) => id === task.projectId);
  return { ...task, projectName: project?.name, progress: state.completing[task.id] };
}

function taskForm(store: Store<State>, actions: Actions): void {
  const projects = find('task-project', HTMLSelectElement);
  let listed: readonly Project[] | undefined;
  store.subscribe((state) => {
    if (state.projects.items === listed) return;
    listed = state.projects.items;
    const chosen = projects.value;
    projects.replaceChildren(
      h('option', { value: '' }, 'None'),
      ...listed.map(({ id, name }) => h('option', { value: id }, name)),
    );
    projects.value = chosen;
  });
  onSubmit(find('task-form', HTMLFormElement), async ({ title = '', projectId = '', dueDate = '' }) => {
    if (title === '') throw new FormFault('title', 'A task needs a title');
    await actions.createTask({
      title,
      ...(projectId !== '' && { projectId }),
      // The user's own midnight: a bare date would be midnight UTC, which is the day before in half the world.
      ...(dueDate !== '' && { dueDate: new Date(`${dueDate}T00:00`).toISOString() }),
    });
  });
}

function taskRow(first: Shown, actions: Actions): Row<Shown> {
  let task = first;
  const button = h('button', { type: 'button', class: 'complete' }, icon('check'));
  const title = h('span', { class: 'title' }, task.title);
  const meta = h('p', { class: 'meta' });
  const fault = h('span', { class: 'row-fault', role: 'alert' });
  const element = h('li', { class: 'item task' }, button, h('div', {}, title, meta));
  button.addEventListener('click', () => {
    if (task.completedAt === undefined && task.progress !== 'pending') void actions.completeTask(task);
  });
  return {
    element,
    update(next) {
      task = next;
      const isDone = next.completedAt !== undefined;
      element.classList.toggle('done', isDone);
      button.setAttribute('aria-label', isDone ? `${next.title} is completed` : `Complete ${next.title}`);
      button.setAttribute('aria-disabled', String(isDone));
      button.setAttribute('aria-busy', String(next.progress === 'pending'));
      setText(fault, typeof next.progress === 'object' ? next.progress.failed : '');
      meta.replaceChildren(...metaOf(next), fault);
    },
  };
}

function metaOf({ projectName, dueDate, completedAt }: Shown): HTMLElement[] {
  const isLate = dueDate !== undefined && completedAt === undefined && isPast(dueDate);
  return [
    ...(projectName === undefined ? [] : [h('span', { class: 'tag' }, projectName)]),
    ...(dueDate === undefined
      ? []
      : [h('time', { datetime: dueDate, class: isLate && 'late' }, `Due ${dueText(dueDate)}`)]),
    ...(completedAt === undefined ? [] : [h('span', {}, 'Completed')]),
  ];
}
