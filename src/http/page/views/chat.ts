import type { Actions } from '../actions.js';
import type { Message, Thread } from '../core/entities.js';
import type { State } from '../core/state.js';
import type { Store } from '../core/store.js';
import { find, h, keyedList, setText, type Row } from '../dom.js';
import { shortTime } from '../format.js';
import { clearErrors, onSubmit } from '../forms.js';

export function chatView(store: Store<State>, actions: Actions): void {
  threadChoice(store, actions);
  composer(actions);
  const list = find('messages', HTMLOListElement);
  const render = keyedList<Message>(list, keyOf, messageRow, () =>
    h(
      'li',
      { class: 'empty' },
      h('strong', {}, 'Ask something'),
      h('span', {}, 'The answer is written here as it comes.'),
    ),
  );
  addEventListener('hashchange', () => list.scrollTo({ top: list.scrollHeight }));
  let shown: readonly Message[] | undefined;
  store.subscribe(({ threadId, messages }) => {
    const items = messages[threadId ?? '']?.items ?? [];
    if (items === shown) return;
    shown = items;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
    render(items.toReversed());
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  });
}

/** The optimistic message and the one it becomes are one row. */
const keyOf = ({ id, role, requestId }: Message): string => (requestId === undefined ? id : `${requestId}:${role}`);

function threadChoice(store: Store<State>, actions: Actions): void {
  const select = find('thread', HTMLSelectElement);
  select.addEventListener('change', () => actions.openThread(select.value === '' ? undefined : select.value));
  let listed: readonly Thread[] | undefined;
  store.subscribe(({ threads, threadId }) => {
    if (threads.items !== listed) {
      listed = threads.items;
      const options = listed.map(({ id, title }) => h('option', { value: id }, title));
      select.replaceChildren(h('option', { value: '' }, 'New conversation'), ...options);
    }
    select.value = threadId ?? '';
  });
}

function composer(actions: Actions): void {
  const form = find('chat-form', HTMLFormElement);
  const field = find('chat-content', HTMLTextAreaElement);
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  // The message is on the page at once, so the field is free for the next one while this one is under way.
  onSubmit(form, ({ content = '' }) => {
    if (content !== '') void actions.sendMessage(content);
    clearErrors(form);
    return Promise.resolve();
  });
}

function messageRow(message: Message): Row<Message> {
  const text = h('p', { class: 'message-text' });
  const note = h('span', { class: 'message-note' });
  const element = h('li', { class: `message ${message.role}` }, text, note);
  return {
    element,
    update(next) {
      element.dataset['state'] = next.state ?? 'stored';
      setText(text, next.content);
      setText(note, noteOf(next));
    },
  };
}

function noteOf({ role, state, content, createdAt }: Message): string {
  if (state === 'failed') return 'Not answered';
  if (state === 'sending') return 'Sending';
  if (state === 'streaming') return content === '' ? 'Thinking' : 'Writing';
  return `${role === 'user' ? 'You' : 'Synap'}, ${shortTime(createdAt)}`;
}
