/** The few pages of our own under /admin: HTML and CSS as text, so that nothing has to be found on disk. No scripts. */

export const styleSheet = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6b7e; --paper: #f4f6f9; --card: #fff; --line: #d9e0e8;
  --accent: #2f5bd3; --accent-ink: #fff; --bad: #b3261e; --bad-paper: #fdecea; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf2; --soft: #94a3b8; --paper: #10151c; --card: #18202a; --line: #2a3542;
    --accent: #7aa2ff; --accent-ink: #0d1420; --bad: #ffb4ab; --bad-paper: #3b1a18; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', sans-serif; }
main { width: 100%; max-width: 24rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 2rem; box-shadow: 0 12px 40px rgb(15 23 42 / 8%); }
.name { display: flex; align-items: center; gap: .6rem; margin: 0 0 1.5rem; color: var(--soft); font-size: .9rem; }
.name b { color: var(--ink); font-size: 1.05rem; }
.name::before { content: ''; width: .8rem; height: .8rem; border-radius: 50%; background: var(--accent); }
h1 { margin: 0 0 .35rem; font-size: 1.35rem; line-height: 1.25; }
p { margin: 0 0 1rem; color: var(--soft); }
label { display: block; margin: 1rem 0 .3rem; font-size: .88rem; font-weight: 600; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: 8px; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
button { width: 100%; margin-top: 1.5rem; padding: .7rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--accent-ink); background: var(--accent); border: 0; border-radius: 8px; }
button:hover { filter: brightness(1.06); }
.fault { margin: 0 0 1rem; padding: .65rem .8rem; border-radius: 8px; color: var(--bad); background: var(--bad-paper); font-size: .92rem; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, monospace; padding: .1em .35em; border-radius: 5px; background: var(--paper); color: var(--ink); }
a { color: var(--accent); }
`;

/**
 * Bull Board has no setting for single buttons. Those that are refused here are hidden by their icons, which are the same in
 * every language: add, duplicate, edit, priority, delay, concurrency, rate limit, empty, obliterate. The refusal stands without this.
 */
export const boardStyleSheet = `
button:has(> .lucide-files), button:has(> .lucide-pencil), button:has(> .lucide-arrow-up-down), button:has(> .lucide-clock),
[role='menuitem']:has(> .lucide-plus), [role='menuitem']:has(> .lucide-chart-no-axes-gantt), [role='menuitem']:has(> .lucide-gauge),
[role='menuitem']:has(> .lucide-trash-2), [role='menuitem']:has(> .lucide-ban) { display: none !important; }
`;

interface PageOptions {
  readonly base: string;
  readonly title: string;
  readonly body: string;
}

const page = ({ base, title, body }: PageOptions): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escape(title)} · Synap</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${escape(base)}/pages.css">
</head>
<body>
<main>
<div class="name"><b>Synap</b> Operations</div>
${body}
</main>
</body>
</html>
`;

export interface SignInPage {
  readonly base: string;
  readonly name: string;
  readonly next: string;
  readonly fault?: string;
}

export const signInPage = ({ base, name, next, fault }: SignInPage): string =>
  page({
    base,
    title: 'Sign in',
    body: `<h1>Sign in</h1>
<p>Queues, dead letters and their buttons are for operators.</p>
${fault === undefined ? '' : `<div class="fault" role="alert">${escape(fault)}</div>`}
<form method="post" action="${escape(base)}/sign-in">
<input type="hidden" name="next" value="${escape(next)}">
<label for="name">Name</label>
<input id="name" name="name" value="${escape(name)}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="64">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024" autofocus>
<button type="submit">Sign in</button>
</form>`,
  });

export const signOutPage = (base: string, name: string): string =>
  page({
    base,
    title: 'Sign out',
    body: `<h1>Sign out</h1>
<p>You are signed in as <code>${escape(name)}</code>. <a href="${escape(base)}/queues">Back to the queues</a></p>
<form method="post" action="${escape(base)}/sign-out"><button type="submit">Sign out</button></form>`,
  });

export const closedPage = (base: string): string =>
  page({
    base,
    title: 'Closed',
    body: `<h1>The board is closed</h1>
<p>No operator can sign in yet. Set <code>OPERATOR_PASSWORD</code> (at least 12 characters; the name is <code>OPERATOR_NAME</code>,
<code>operator</code> by default) and restart.</p>`,
  });

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
