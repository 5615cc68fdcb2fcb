import { requestDemoToken } from '../api.js';
import { find, setText } from '../dom.js';
import { FormFault, onSubmit } from '../forms.js';
import { noteDemoServer, sessionFrom, type Session } from '../session.js';

/** Two ways in: a demo user (development only), or a token from the developer's own backend. */
export function signInView(onSession: (session: Session) => void, why = ''): void {
  const demo = find('demo-form', HTMLFormElement);
  const paste = find('token-form', HTMLFormElement);
  const other = find('other-sign-in', HTMLButtonElement);
  const show = (form: HTMLFormElement) => {
    demo.hidden = form !== demo;
    paste.hidden = form !== paste;
    setText(other, form === demo ? 'Use a token instead' : 'Sign in as a demo user instead');
  };
  find('sign-in', HTMLElement).hidden = false;
  if (why !== '') setText(demo.querySelector('.lede'), why);
  other.addEventListener('click', () => show(demo.hidden ? demo : paste));
  onSubmit(demo, async ({ userId = '' }) => {
    if (userId === '') throw new FormFault('userId', 'Any name will do');
    const token = await requestDemoToken(userId);
    if (token !== undefined) {
      noteDemoServer();
      return signInWith(token, onSession);
    }
    show(paste);
    other.hidden = true;
    setText(
      find('token-why', HTMLElement),
      'This server has no demo users. Paste a token that your backend made; its claim "sub" is the user id.',
    );
  });
  onSubmit(paste, ({ token = '' }) => Promise.resolve(signInWith(token, onSession)));
}

function signInWith(token: string, onSession: (session: Session) => void): void {
  const session = sessionFrom(token);
  if (session === undefined)
    throw new FormFault('token', 'This is not a token: three parts with dots between, and a claim "sub"');
  find('sign-in', HTMLElement).hidden = true;
  onSession(session);
}
