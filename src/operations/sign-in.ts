import express, { Router, type Request, type RequestHandler, type Response } from 'express';
import { rateLimit, type Store } from 'express-rate-limit';
import { z } from 'zod';
import { recordAct } from '../platform/audit.js';
import { isConnectionLoss, unavailable, type Sql } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import { asOperator, currentOperator } from './operator.js';
import { signInPage, signOutPage } from './pages.js';
import { sessionSeconds, type Sessions } from './session.js';

export interface SignInOptions {
  readonly sessions: Sessions;
  readonly sql: Sql;
  /** The cookie is sent over TLS only; without it, only where the request itself came by TLS. */
  readonly isProduction: boolean;
  /** Where failed attempts are counted; in the memory of this process by default. */
  readonly attempts?: Store;
}

const cookieName = 'synap_operator';
const form = z.object({
  name: z.string().max(64),
  password: z.string().max(1_024),
  next: z.string().max(2_000).default(''),
});

/** GET and POST sign-in and sign-out. */
export function signInRoutes(options: SignInOptions): Router {
  const router = Router();
  router.get('/sign-in', showSignIn(options));
  const readForm = express.urlencoded({ extended: false, limit: '8kb' });
  router.post('/sign-in', limitAttempts(options.attempts), readForm, signIn(options));
  router.get('/sign-out', requireOperator(options.sessions), (req, res) => {
    res.send(signOutPage(req.baseUrl, currentOperator()));
  });
  router.post('/sign-out', signOut(options));
  return router;
}

function showSignIn({ sessions }: SignInOptions): RequestHandler {
  return async (req, res) => {
    const next = nextOf(req, req.query['next']);
    if ((await sessions.read(readCookie(req))) !== undefined) res.redirect(303, next);
    else res.send(signInPage({ base: req.baseUrl, name: '', next }));
  };
}

function signIn({ sessions, sql, isProduction }: SignInOptions): RequestHandler {
  return async (req, res) => {
    const sent = form.safeParse(req.body ?? {});
    const { name, password, next } = sent.success ? sent.data : { name: '', password: '', next: '' };
    if (sessions.accepts(name, password)) {
      await note(sql, req, name, 'operator.signed_in');
      const maxAge = sessionSeconds * 1_000;
      res.cookie(cookieName, await sessions.issue(), { ...cookieOptions(req, isProduction), maxAge });
      res.redirect(303, nextOf(req, next));
    } else {
      await note(sql, req, storable(name) || '(none)', 'operator.sign_in_failed');
      const fault = 'The name or the password is wrong.';
      res.status(401).send(signInPage({ base: req.baseUrl, name, next: nextOf(req, next), fault }));
    }
  };
}

function signOut({ sessions, sql, isProduction }: SignInOptions): RequestHandler {
  return async (req, res) => {
    const name = await sessions.read(readCookie(req));
    if (name !== undefined) await note(sql, req, name, 'operator.signed_out');
    res.clearCookie(cookieName, cookieOptions(req, isProduction)).redirect(303, `${req.baseUrl}/sign-in`);
  };
}

function cookieOptions(req: Request, isProduction: boolean) {
  return { httpOnly: true, sameSite: 'strict', secure: isProduction || req.secure, path: req.baseUrl } as const;
}

/** Nobody is let in unseen: where the audit log cannot be written, the answer is 503. */
async function note(sql: Sql, req: Request, actor: string, action: string): Promise<void> {
  const details = { ip: req.ip ?? '', userAgent: storable(req.get('user-agent') ?? '') };
  try {
    await recordAct(sql, { actor, action, details });
  } catch (thrown) {
    throw isConnectionLoss(thrown) ? unavailable(thrown) : thrown;
  }
}

/** Lets a signed-in operator through, under their name; others are sent to sign in, or told 401 where no page was asked for. */
export function requireOperator(sessions: Sessions): RequestHandler {
  return async (req, res, next) => {
    const name = await sessions.read(readCookie(req));
    if (name !== undefined) {
      asOperator(name, next);
    } else if (req.method === 'GET' && req.accepts(['json', 'html']) === 'html') {
      res.redirect(303, `${req.baseUrl}/sign-in?next=${encodeURIComponent(req.originalUrl)}`);
    } else {
      next(
        new SynapError('unauthenticated', 'no operator session', { publicMessage: 'Sign in as an operator first.' }),
      );
    }
  };
}

/** Failures count, so that somebody who knows the password is not locked out by signing in often. */
function limitAttempts(store: Store | undefined): RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit: 5,
    skipSuccessfulRequests: true,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // Whether the proxy in front is to be believed is decided by TRUST_PROXY; the library's own guess only logs.
    validate: { xForwardedForHeader: false, trustProxy: false },
    ...(store && { store }),
    handler(req: Request, res: Response) {
      res
        .status(429)
        .send(
          signInPage({ base: req.baseUrl, name: '', next: '', fault: 'Too many attempts. Try again in a minute.' }),
        );
    },
  });
}

/** Only ever a place under our own path: an open redirect would lend our name to somebody's copy of the form. */
function nextOf(req: Request, next: unknown): string {
  const home = `${req.baseUrl}/queues`;
  const isOurs =
    typeof next === 'string' && /^\/[\w./?=&%~-]*$/.test(next) && (next === home || next.startsWith(`${home}/`));
  return isOurs && !next.includes('..') ? next : home;
}

function readCookie(req: Request): string | undefined {
  for (const pair of (req.get('cookie') ?? '').split(';')) {
    const [name, ...value] = pair.trim().split('=');
    if (name === cookieName) return value.join('=');
  }
  return undefined;
}

const storable = (text: string): string => text.slice(0, 200).toWellFormed().replaceAll('\u0000', '');
