import { expect, test } from '@jest/globals';
import type { SynapClient } from '../types.js';
import { OwnClient } from './client-source.js';

function open() {
  const counts = { made: 0, closed: 0 };
  const source = new OwnClient(() => {
    counts.made += 1;
    return { close: () => (counts.closed += 1) } as unknown as SynapClient;
  });
  return { source, counts };
}

const aMomentLater = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve);
  });

test('a component that sends as it is mounted, before its provider holds the client, uses the same client', async () => {
  const { source, counts } = open();
  const early = source.client();
  const letGo = source.hold();
  await aMomentLater();
  expect([source.client() === early, counts]).toEqual([true, { made: 1, closed: 0 }]);
  letGo();
  await aMomentLater();
  expect(counts).toEqual({ made: 1, closed: 1 });
});

test('who lets go and takes hold again at once keeps the client; letting go twice counts once', async () => {
  const { source, counts } = open();
  const [first, other] = [source.hold(), source.hold()];
  source.client();
  first();
  first();
  await aMomentLater();
  expect(counts).toEqual({ made: 1, closed: 0 });
  other();
  source.hold();
  await aMomentLater();
  expect(counts).toEqual({ made: 1, closed: 0 });
});
