import type { WireNotification } from '../../../realtime/contract.js';
import type { State } from '../core/state.js';
import type { Store } from '../core/store.js';
import { find, h, keyedList, setText, type Row } from '../dom.js';
import { detail, headline, timeOf } from '../format.js';

/** Every notification of this user, newest first; what arrives while the page is open is also announced. */
export function feedView(store: Store<State>): void {
  const render = keyedList<WireNotification>(
    find('feed', HTMLOListElement),
    ({ id }) => id,
    feedRow,
    () => h('li', { class: 'empty' }, h('span', {}, 'Nothing has happened yet.')),
  );
  const announcer = find('announcer', HTMLElement);
  const openedAt = new Date().toISOString();
  let shown: readonly WireNotification[] = [];
  store.subscribe(({ notifications }) => {
    const [newest] = notifications;
    if (newest !== undefined && newest !== shown[0] && newest.timestamp > openedAt) {
      setText(announcer, `${headline(newest)}. ${detail(newest)}`.slice(0, 200));
    }
    if (notifications !== shown || shown.length === 0) render(notifications);
    shown = notifications;
  });
}

function feedRow(notification: WireNotification): Row<WireNotification> {
  const { status, timestamp, type } = notification;
  const element = h(
    'li',
    { class: 'entry', 'data-status': status, 'data-type': type },
    h('span', { class: 'dot', role: 'img', 'aria-label': status }),
    h('p', { class: 'headline' }, headline(notification)),
    h('time', { datetime: timestamp }, timeOf(timestamp)),
    h('p', { class: 'detail' }, detail(notification)),
    h('code', {}, type),
  );
  return { element, update: () => undefined };
}
