import { expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { createMetrics } from './metrics.js';

test('every metric stands in docs/metrics.md with its type, labels and help, and nothing else does', async () => {
  const documented = (await readFile('docs/metrics.md', 'utf8'))
    .split('\n')
    .filter((line) => line.startsWith('| `synap_'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const { registry } = createMetrics('synap_');
  const declared = (await registry.getMetricsAsJSON()).filter(({ name }) => !/^synap_(process|nodejs)_/.test(name));
  expect(documented.map(([, name, type, , help]) => [name, type, help])).toEqual(
    declared.map(({ name, type, help }) => [`\`${name}\``, type, help]),
  );
});

test('the buckets of HTTP durations end at the service levels, 200 and 500 ms', async () => {
  const { registry, httpRequestDuration } = createMetrics('synap_');
  httpRequestDuration.observe({ method: 'GET', route: '/', status_code: '200' }, 0.1);
  const text = await registry.metrics();
  for (const bound of ['0.2', '0.5']) expect(text).toContain(`le="${bound}"`);
});

test('default labels stand on every series, and a metric’s own label of the same name wins', async () => {
  const { registry, deadLetters, websocketConnections } = createMetrics('synap_', { region: 'eu', queue: 'none' });
  websocketConnections.set(3);
  deadLetters.inc({ queue: 'notes' });
  const series = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(series.filter((line) => !line.includes('region="eu"'))).toEqual([]);
  expect(series).toContain('synap_websocket_connections_active{region="eu",queue="none"} 3');
  expect(series.find((line) => line.startsWith('synap_dead_letters_total'))).toMatch(
    /\{queue="notes",region="eu"\} 1$/,
  );
});
