import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApi, type TestApi } from '../../test/support/api.js';
import { errorCatalogue } from '../platform/errors.js';
import { endpointsOf } from './endpoints.js';
import { LocalCounters } from './limits/counters.js';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

test('docs/errors.md has every error code with its status, and no other', () => {
  const rows = readFileSync('docs/errors.md', 'utf8').matchAll(/^\| `(\w+)` +\| (\d{3}) +\|/gm);
  const documented = Object.fromEntries([...rows].map(([, code, status]) => [code, Number(status)]));
  const declared = Object.fromEntries(Object.entries(errorCatalogue).map(([code, { status }]) => [code, status]));
  expect(documented).toEqual(declared);
});

test('docs/http-api.md has every route', () => {
  const text = readFileSync('docs/http-api.md', 'utf8');
  const routes = endpointsOf(api.deps, new LocalCounters(api.deps.clock)).map(
    ({ method, path }) => `${method.toUpperCase()} ${path}`,
  );
  expect(routes.filter((route) => !text.includes(`\`${route}\``) && !text.includes(`\`${route}?`))).toEqual([]);
});
