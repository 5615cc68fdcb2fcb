import type { IncomingMessage } from 'node:http';
import { ipKeyGenerator } from 'express-rate-limit';
import proxyAddress from 'proxy-addr';

/** TRUST_PROXY, as Express reads it: all, none, so many proxies, or their addresses. */
export type TrustProxy = boolean | number | string;

/**
 * Whom a connection counts for: the client's address as the trusted proxies tell it. An IPv6 customer has a whole /56; counting
 * single addresses would limit nobody.
 */
export function clientAddress(trustProxy: TrustProxy): (request: IncomingMessage) => string {
  const trust = compileTrust(trustProxy);
  // Asked when a connection knocks and again when it is let in.
  const known = new WeakMap<IncomingMessage, string>();
  return (request) => {
    const before = known.get(request);
    if (before !== undefined) return before;
    // A connection that has broken off meanwhile has none.
    const address = proxyAddress(request, trust) as string | undefined;
    const key = address === undefined ? 'unknown' : ipKeyGenerator(address);
    known.set(request, key);
    return key;
  };
}

function compileTrust(given: TrustProxy): (address: string, hop: number) => boolean {
  if (typeof given === 'boolean') return () => given;
  if (typeof given === 'number') return (_address, hop) => hop < given;
  return proxyAddress.compile(given.split(',').map((part) => part.trim()));
}
