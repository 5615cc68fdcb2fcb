import type { Connection, State } from '../core/state.js';
import type { Store } from '../core/store.js';
import { find, setText } from '../dom.js';
import { isDemoServer } from '../session.js';

const connections: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  offline: 'Offline',
};

/** The bar at the top: who, how connected, which section. */
export function frameView(store: Store<State>, onSignOut: () => void): void {
  setText(find('user-id', HTMLElement), store.state.userId);
  find('examples', HTMLElement).hidden = !isDemoServer();
  find('sign-out', HTMLButtonElement).addEventListener('click', onSignOut);
  const badge = find('connection', HTMLElement);
  store.subscribe(({ connection }) => {
    badge.dataset['state'] = connection;
    setText(badge.querySelector('.text'), connections[connection]);
  });
  addEventListener('hashchange', showSection);
  showSection();
}

const sections = ['notes', 'tasks', 'projects', 'chat', 'live'];

/** Sections are addresses, so that back, reload and links work. `live` is a section of its own on narrow screens only. */
function showSection(): void {
  const wanted = location.hash.slice(1);
  const name = sections.includes(wanted) ? wanted : 'notes';
  find('columns', HTMLElement).dataset['section'] = name;
  const panel = name === 'live' ? 'notes' : name;
  for (const section of document.querySelectorAll<HTMLElement>('.panel'))
    section.hidden = section.id !== `panel-${panel}`;
  for (const link of document.querySelectorAll<HTMLAnchorElement>('.tabs a')) {
    if (link.hash === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}
