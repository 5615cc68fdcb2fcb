import { Actions } from './actions.js';
import { Api } from './api.js';
import { initialState, type State } from './core/state.js';
import { isOver } from './core/requests.js';
import { Store } from './core/store.js';
import { find } from './dom.js';
import { heardNotification, heardProgress, heardText } from './news.js';
import { Realtime, type Listener } from './realtime.js';
import { forgetSession, saveSession, savedSession, takeFarewell, type Session } from './session.js';
import { chatView } from './views/chat.js';
import { feedView } from './views/feed.js';
import { frameView } from './views/frame.js';
import { notesView } from './views/notes.js';
import { projectsView } from './views/projects.js';
import { requestsView } from './views/requests.js';
import { signInView } from './views/sign-in.js';
import { tasksView } from './views/tasks.js';

const historyLength = 30;
const patienceMs = 3_000;

/** One signed-in user: state in the middle, the server on one side, views on the other. */
function start(session: Session): void {
  saveSession(session);
  const store = new Store(initialState(session.userId));
  const api = new Api(session.token, turnAway);
  const listener = listenTo(store, {
    onStale: () => load(),
    onEnd: (requestId) => realtime.leaveRequest(requestId),
  });
  const realtime = new Realtime(session.token, listener);
  const actions = new Actions(api, realtime, store);

  // The room first and the lists second, so that nothing falls between; without a connection the lists do not wait for it.
  const impatience = setTimeout(() => load(), patienceMs);
  const load = () => {
    clearTimeout(impatience);
    void actions.loadAll();
  };
  void realtime.listenToUser(session.userId, historyLength);

  find('app', HTMLElement).hidden = false;
  frameView(store, signOut);
  notesView(store, actions);
  tasksView(store, actions);
  projectsView(store, actions);
  chatView(store, actions);
  requestsView(store);
  feedView(store);
}

/** What is heard becomes state. A request's room is left when the request is over. */
function listenTo(store: Store<State>, then: { onStale(): void; onEnd(requestId: string): void }): Listener {
  return {
    onConnection: (connection) => store.update((state) => ({ ...state, connection })),
    onNotification: (notification) => {
      store.update((state) => heardNotification(state, notification, performance.now()));
      const request = store.state.requests.find(({ id }) => id === notification.requestId);
      if (request !== undefined && isOver(request)) then.onEnd(request.id);
    },
    onProgress: (progress) => store.update((state) => heardProgress(state, progress)),
    onText: (text) => store.update((state) => heardText(state, text)),
    onStale: then.onStale,
    onSignedOut: turnAway,
  };
}

/** A new page is the surest way to forget a user. */
function leave(farewell: string): void {
  forgetSession(farewell);
  location.reload();
}

const signOut = (): void => leave('');
const turnAway = (): void => leave('Your session has ended. Sign in again.');

const session = savedSession();
if (session === undefined) signInView(start, takeFarewell());
else start(session);
