import { isOver, type Request } from '../core/requests.js';
import type { State } from '../core/state.js';
import type { Store } from '../core/store.js';
import { find, h, keyedList, setText, type Row } from '../dom.js';
import { duration } from '../format.js';

const maxShown = 4;

/** What this page asked for, and how far it is. */
export function requestsView(store: Store<State>): void {
  const render = keyedList<Request>(
    find('request-list', HTMLOListElement),
    ({ id }) => id,
    requestRow,
    () =>
      h('li', { class: 'empty' }, h('span', {}, 'What you ask for shows its way here: accepted, processing, done.')),
  );
  const count = find('live-count', HTMLElement);
  let shown: readonly Request[] | undefined;
  store.subscribe(({ requests }) => {
    if (requests === shown) return;
    shown = requests;
    const open = requests.filter((request) => !isOver(request)).length;
    setText(count, open === 0 ? '' : String(open));
    render(requests.slice(0, maxShown));
  });
}

function requestRow(request: Request): Row<Request> {
  const percent = h('progress', { max: 100, 'aria-label': `Progress of ${request.label}` });
  const status = h('span', { class: 'status' });
  const took = h('span', { class: 'took' });
  const element = h(
    'li',
    { class: 'request' },
    h('p', { class: 'request-head' }, h('span', { class: 'label' }, request.label), took),
    h('div', { class: 'track' }, h('i'), h('i', { class: 'line' }), h('i'), percent, h('i')),
    h('p', { class: 'request-foot' }, h('code', {}, request.type), status),
  );
  return {
    element,
    update(next) {
      element.dataset['stage'] = next.stage;
      element.toggleAttribute('data-accepted', wasAccepted(next));
      percent.value = next.percent;
      setText(status, statusOf(next));
      setText(took, next.finishedAt === undefined ? '' : duration(next.finishedAt - next.sentAt));
    },
  };
}

/** Its news may come before the answer to the POST does. */
const wasAccepted = ({ stage, acceptedAt }: Request): boolean =>
  acceptedAt !== undefined || stage === 'processing' || stage === 'done';

function statusOf({ stage, message, percent, acceptedAt, sentAt }: Request): string {
  switch (stage) {
    case 'sending':
      return 'Sending';
    case 'accepted':
      return 'Accepted';
    case 'processing':
      return message === '' ? `Processing ${percent} %` : `${message}, ${percent} %`;
    case 'done':
      return acceptedAt === undefined ? 'Done' : `Accepted in ${duration(acceptedAt - sentAt)}`;
    case 'failed':
      return message;
  }
}
