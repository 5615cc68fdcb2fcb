import { findingsOf, type Finding } from './finding.js';

const part = findingsOf('synap');

/** Whether one answers at the address, and is ready. Not running is no fault: this is also asked before the first start. */
export async function checkServer(url: string): Promise<Finding[]> {
  try {
    const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(5_000) });
    await response.body?.cancel();
    if (response.ok) return [part.ok(`ready at ${url}`)];
    return [part.fail(`not ready at ${url} (${response.status})`, 'Its log says what it waits for.')];
  } catch {
    return [part.warn(`not running at ${url}`, 'Start it with bin/start, or say where it is with --url.')];
  }
}
