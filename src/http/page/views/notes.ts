import { reasonOf, type Actions } from '../actions.js';
import type { Note } from '../core/entities.js';
import type { State } from '../core/state.js';
import type { Store } from '../core/store.js';
import { find, h, setText, type Row } from '../dom.js';
import { bytes, shortTime } from '../format.js';
import { FormFault, onSubmit } from '../forms.js';
import { collectionView } from './collection.js';

export function notesView(store: Store<State>, actions: Actions): void {
  noteForm(actions);
  const render = collectionView<Note>({
    list: find('note-list', HTMLUListElement),
    create: (note) => noteRow(note, actions),
    empty: ['No notes yet', 'The first one you save appears here, by way of its notification.'],
    load: (cursor) => actions.load('notes', cursor),
  });
  store.subscribe((state) => render(state.notes));
}

function noteForm(actions: Actions): void {
  const form = find('note-form', HTMLFormElement);
  const upload = fileField();
  const isFile = () => new FormData(form).get('source') === 'file';
  const showSource = () => {
    find('note-text', HTMLElement).hidden = isFile();
    find('note-upload', HTMLElement).hidden = !isFile();
  };
  form.addEventListener('change', showSource);
  form.addEventListener('reset', () => queueMicrotask(() => [showSource(), upload.clear()]));
  onSubmit(form, async ({ title = '', content = '', tags = '' }) => {
    const note = {
      title,
      tags: tags
        .split(',')
        .map((tag) => tag.trim())
        .filter((tag) => tag !== ''),
    };
    if (title === '') throw new FormFault('title', 'A note needs a title');
    if (!isFile()) return actions.createNote({ ...note, content });
    const { file } = upload;
    if (file === undefined) throw new FormFault('file', 'Choose a file first');
    const fileId = await actions.uploadFile(file, upload.showProgress);
    return actions.createNote({ ...note, fileId });
  });
}

/** The file that was chosen or dropped, its name and size in place of the invitation, and how far its upload is. */
function fileField() {
  const input = find('note-file', HTMLInputElement);
  const drop = input.closest('.drop');
  const invitation = [...(drop?.querySelector('.drop-text')?.childNodes ?? [])];
  const progress = drop?.querySelector('progress');
  const show = () => {
    const file = input.files?.[0];
    drop?.classList.toggle('chosen', file !== undefined);
    const chosen = file === undefined ? invitation : [h('strong', {}, file.name), ` ${bytes(file.size)}`];
    drop?.querySelector('.drop-text')?.replaceChildren(...chosen);
    if (progress) progress.value = 0;
  };
  input.addEventListener('change', () => {
    const title = find('note-title', HTMLInputElement);
    if (title.value === '') title.value = input.files?.[0]?.name.replace(/\.[^.]+$/, '') ?? '';
    show();
  });
  // The input covers the whole area, so that the browser itself takes what is dropped; the class is only for looks.
  for (const name of ['dragenter', 'dragover']) input.addEventListener(name, () => drop?.classList.add('over'));
  for (const name of ['dragleave', 'drop']) input.addEventListener(name, () => drop?.classList.remove('over'));
  return {
    get file() {
      return input.files?.[0];
    },
    showProgress: (fraction: number) => {
      if (progress) progress.value = fraction;
    },
    clear: show,
  };
}

function noteRow(note: Note, actions: Actions): Row<Note> {
  const download = h('button', { type: 'button', class: 'quiet' }, 'Download');
  const fault = h('span', { class: 'row-fault', role: 'alert' });
  download.addEventListener('click', () => {
    const name = note.fileUrl === undefined ? undefined : `${note.title}${note.extension}`;
    if (name === undefined || note.fileUrl === undefined) return;
    actions.openFile(note.fileUrl, name).catch((thrown: unknown) => setText(fault, reasonOf(thrown)));
  });
  const size = note.contentLength === undefined || note.contentLength === 0 ? 'File' : bytes(note.contentLength);
  const element = h(
    'li',
    { class: 'item note' },
    h('h2', {}, note.title),
    note.excerpt !== '' && h('p', { class: 'excerpt' }, note.excerpt),
    h(
      'p',
      { class: 'meta' },
      ...note.tags.map((tag) => h('span', { class: 'tag' }, tag)),
      h('time', { datetime: note.createdAt }, shortTime(note.createdAt)),
      h('span', {}, size),
      note.fileUrl !== undefined && download,
      fault,
    ),
  );
  return { element, update: () => undefined };
}
