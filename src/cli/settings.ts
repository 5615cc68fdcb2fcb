import { decodeJwt } from 'jose';
import { readConfig, type Config } from '../platform/config.js';
import { readDevelopmentState, type DevelopmentState } from '../platform/development-state.js';
import { createTokens } from '../platform/tokens.js';
import { CliError } from './cli-error.js';

/** Where Synap is and how to get in: the environment first, then what a development Synap left in its directory. */
export interface Settings {
  readonly config: Config;
  readonly url: string;
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly jwtSecret: string | undefined;
  /** Of a service that may administrate. */
  readonly apiKey: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws SynapError `config_invalid` */
export async function readSettings(environment: Environment, url: string | undefined): Promise<Settings> {
  const config = readConfig(environment);
  const state = config.isProduction ? undefined : await readDevelopmentState(config.directory);
  return {
    config,
    url: trimSlash(url ?? urlOf(environment, config, state)),
    databaseUrl: config.database.url ?? state?.databaseUrl,
    redisUrl: config.redis.url ?? state?.redisUrl,
    jwtSecret: config.auth.jwtSecret ?? state?.jwtSecret,
    apiKey: config.auth.apiKey ?? state?.apiKey,
  };
}

/** What somebody names is meant, SYNAP_URL (all of a deployment) before PORT; otherwise the Synap that was started last is. */
function urlOf(environment: Environment, config: Config, state: DevelopmentState | undefined): string {
  const named = environment['SYNAP_URL'] ?? '';
  if (named !== '') return named;
  const isNamed = (environment['PORT'] ?? '') !== '';
  return (isNamed ? undefined : state?.url) ?? `http://127.0.0.1:${config.http.port}`;
}

const trimSlash = (url: string): string => url.replace(/\/+$/, '');

export interface Who {
  readonly user?: string;
  readonly token?: string;
}

/** The user that a development Synap greets with. */
const demoUser = 'demo';
const defaultLifeSeconds = 3_600;

/** A given token, else one for the given user, else one for the demo user. @throws CliError where no secret is known */
export async function tokenFor(
  settings: Settings,
  { user, token }: Who,
  lifeSeconds = defaultLifeSeconds,
): Promise<string> {
  if (token !== undefined) return token;
  if (settings.jwtSecret === undefined) {
    throw new CliError(
      'no_secret',
      'The secret that signs tokens is not known here.',
      'Set JWT_SECRET to the one that Synap has, or start Synap with bin/start; where a command takes --token, that works too.',
    );
  }
  if (user === undefined && settings.config.isProduction) {
    throw new CliError('no_user', 'Nobody is named.', 'Name the user with --user ID, or pass --token.');
  }
  return createTokens({ ...settings.config.auth.tokens, secret: settings.jwtSecret }).mint(user ?? demoUser, {
    expiresInSeconds: lifeSeconds,
  });
}

/** The token, and the user id in its claim `sub` (unverified: the server does that). @throws CliError where it is no token */
export async function sessionOf(
  settings: Settings,
  who: Who,
): Promise<{ readonly token: string; readonly userId: string }> {
  const token = await tokenFor(settings, who);
  try {
    const { sub } = decodeJwt(token);
    if (sub !== undefined) return { token, userId: sub };
  } catch {
    // The same advice as for a token without a user.
  }
  throw new CliError(
    'token_invalid',
    'This is not a token with a user id in its claim "sub".',
    'Make one with "synap token --user ID".',
  );
}
