import { createInternalApp, createProbeApp } from '../http/internal-app.js';
import { version } from '../platform/version.js';
import type { SynapNode } from './node.js';
import { listen } from './server.js';

/** Metrics and probes on a port of their own, for Prometheus and orchestrators inside the deployment. */
export async function startInternalServer(node: SynapNode): Promise<void> {
  const { config, lifecycle } = node;
  if (config.metrics.port === undefined) return;
  const internal = await listen(config.metrics.port, config.http.host);
  lifecycle.onStop('internal http', () => internal.close());
  internal.serve(createInternalApp({ ...node, version }));
}

/** The public port of a process without the api role. */
export function startProbes(node: SynapNode): void {
  node.http.serve(createProbeApp({ ...node, version }));
}
