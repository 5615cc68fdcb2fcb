import { Router, type RequestHandler } from 'express';
import type { Readiness } from '../platform/health.js';
import type { ProbeDeps } from './deps.js';

/** As Express matches them: in whatever case, with or without a slash behind. */
export const probePath = /^\/(?:health|live|ready)\/?$/i;

/** `/health`, `/live` and `/ready`: for orchestrators and proxies, so neither limited, logged nor signed in. */
export function probes({
  health,
  lifecycle,
  clock,
  version,
}: Pick<ProbeDeps, 'health' | 'lifecycle' | 'clock' | 'version'>): Router {
  const startedAt = clock.now();
  const readiness = shared(() => health.readiness());
  const router = Router();

  router.get(['/health', '/live', '/ready'], quietly);
  router.get('/health', (_req, res) => {
    const now = clock.now();
    res.json({
      status: 'ok',
      timestamp: new Date(now).toISOString(),
      uptime: Math.round((now - startedAt) / 1_000),
      version,
    });
  });
  router.get('/live', (_req, res) => {
    res.json({ status: 'alive', alive: true });
  });
  router.get('/ready', async (_req, res) => {
    const { status, checks } = await readiness();
    const isReady = status !== 'failed' && !lifecycle.draining;
    res.status(isReady ? 200 : 503).json({ status: lifecycle.draining ? 'draining' : status, checks });
  });
  return router;
}

const quietly: RequestHandler = (req, res, next) => {
  req.call.isQuiet = true;
  res.setHeader('Cache-Control', 'no-store');
  next();
};

/** Many askers at once share one round of checks: probes are open to everybody and must not become a load. */
function shared(check: () => Promise<Readiness>): () => Promise<Readiness> {
  let running: Promise<Readiness> | undefined;
  return () => {
    running ??= check().finally(() => {
      running = undefined;
    });
    return running;
  };
}
