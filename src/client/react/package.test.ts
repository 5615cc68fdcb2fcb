import { expect, test } from '@jest/globals';
import { build } from 'esbuild';
import path from 'node:path';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { SynapProvider, useNotifications, useRequest, useSynapRealtime } from './index.js';

/** The modules of src/client/react that a page has in its bundle when it imports these names. */
async function bundledWith(names: string): Promise<string[]> {
  const { metafile } = await build({
    stdin: { contents: `export { ${names} } from './src/client/react/index.ts';`, resolveDir: process.cwd() },
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    external: ['react'],
  });
  return Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([file, { bytesInOutput }]) => file.startsWith('src/client/react/') && bytesInOutput > 0)
    .map(([file]) => path.basename(file, '.ts'))
    .toSorted();
}

test('a page that imports one hook does not carry the others', async () => {
  expect(await bundledWith('useRequest')).toEqual([
    'client-source',
    'live-store',
    'provider',
    'use-latest',
    'use-request',
  ]);
  expect(await bundledWith('useNotifications')).toEqual(expect.arrayContaining(['notification-list']));
});

function Page(): string {
  const { isConnected, connectionState } = useSynapRealtime({ userId: 'ada' });
  const { status } = useRequest('req-1');
  const { items, isLoading } = useNotifications();
  return JSON.stringify({ isConnected, connectionState, status, items, isLoading });
}

test('rendering on a server connects nothing and asks for no token', async () => {
  let asked = 0;
  const options = { url: 'http://127.0.0.1:1', token: () => `${(asked += 1)}` };
  const html = renderToString(createElement(SynapProvider, { options }, createElement(Page)));
  await new Promise(setImmediate);
  expect(JSON.parse(html.replaceAll('&quot;', '"'))).toEqual({
    isConnected: false,
    connectionState: 'connecting',
    status: 'sending',
    items: [],
    isLoading: true,
  });
  expect(asked).toBe(0);
});

test('a hook without a provider says what it needs', () => {
  const Lost = (): null => {
    useRequest('req-1');
    return null;
  };
  expect(() => renderToString(createElement(Lost))).toThrow('<SynapProvider>');
});
