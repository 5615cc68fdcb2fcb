import { createContext, StrictMode, use, useState, type SubmitEvent, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { SynapProvider, useConnectionState } from 'synap/react';
import { demoSession, reasonOf, type Session } from './api.js';

const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = use(SessionContext);
  if (session === undefined) throw new Error('Nobody is signed in.');
  return session;
}

const userKey = 'synap.examples.user';

/** A demo user signs in, and everything below the provider shares one connection. */
function ExamplePage({ title, children }: { title: string; children: ReactNode }) {
  const [session, setSession] = useState(savedSession);
  if (session === undefined) return <SignIn title={title} onSession={setSession} />;
  const signOut = () => {
    localStorage.removeItem(userKey);
    location.assign(location.pathname);
  };
  return (
    <SynapProvider key={session.userId} options={{ userId: session.userId, token: session.token }}>
      <SessionContext value={session}>
        <a className="skip" href="#content">
          Skip to content
        </a>
        <Bar userId={session.userId} onSignOut={signOut} />
        <main className="example" id="content" tabIndex={-1}>
          <h1>{title}</h1>
          {children}
        </main>
      </SessionContext>
    </SynapProvider>
  );
}

function savedSession(): Session | undefined {
  const userId = localStorage.getItem(userKey);
  return userId === null ? undefined : demoSession(userId);
}

const connections = {
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  offline: 'Offline',
  'signed-out': 'Signed out',
  closed: 'Closed',
} as const;

function Bar({ userId, onSignOut }: { userId: string; onSignOut: () => void }) {
  const state = useConnectionState();
  return (
    <header className="bar">
      <Brand />
      <nav className="tabs" aria-label="Examples">
        {[
          ['note-uploader.html', 'Note uploader'],
          ['chat.html', 'Chat'],
        ].map(([page, name]) => (
          <a key={page} href={page} aria-current={location.pathname.endsWith(`/${page}`) ? 'page' : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <p className="connection" role="status" data-state={state}>
        <span className="dot" />
        <span className="text">{connections[state]}</span>
      </p>
      <p className="who">
        <span id="user-id">{userId}</span>
        <button className="quiet" type="button" onClick={onSignOut}>
          Sign out
        </button>
      </p>
    </header>
  );
}

function Brand() {
  return (
    <a className="brand" href="/examples/">
      <svg className="mark" viewBox="0 0 32 16" aria-hidden="true">
        <path d="M11 8h4m2 0h4" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
        <circle cx="6" cy="8" r="4.5" fill="currentColor" />
        <circle className="mark-signal" cx="26" cy="8" r="4.5" />
      </svg>
      Synap
    </a>
  );
}

function SignIn({ title, onSession }: { title: string; onSession: (session: Session) => void }) {
  const [fault, setFault] = useState('');
  const signIn = async (userId: string) => {
    const session = demoSession(userId);
    try {
      await session.token();
      localStorage.setItem(userKey, userId);
      onSession(session);
    } catch (thrown) {
      setFault(reasonOf(thrown));
    }
  };
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    void signIn(fieldOf(event.currentTarget, 'userId').trim());
  };
  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <Brand />
        <h1>{title}</h1>
        <form onSubmit={submit}>
          <p className="lede">Pick a name. On a development server anybody may be anybody.</p>
          <div className="field">
            <label htmlFor="demo-user">User id</label>
            <input
              id="demo-user"
              name="userId"
              defaultValue="demo"
              maxLength={128}
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              required
            />
            <p className={`hint${fault === '' ? '' : ' fault'}`} role="alert">
              {fault}
            </p>
          </div>
          <div className="actions">
            <button className="primary" type="submit">
              Sign in
            </button>
          </div>
        </form>
      </div>
    </main>
  );
}

export function fieldOf(form: HTMLFormElement, name: string): string {
  const value = new FormData(form).get(name);
  return typeof value === 'string' ? value : '';
}

export function mountExample(title: string, example: ReactNode): void {
  const root = document.getElementById('root');
  if (root === null) throw new Error('The page has no #root.');
  createRoot(root).render(
    <StrictMode>
      <ExamplePage title={title}>{example}</ExamplePage>
    </StrictMode>,
  );
}
