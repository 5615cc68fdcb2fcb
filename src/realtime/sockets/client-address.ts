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
  return (request) => {
    // A connection that has broken off meanwhile has none.
    const address = proxyAddress(request, trust) as string | undefined;
    return address === undefined ? 'unknown' : ipKeyGenerator(address);
  };
}

function compileTrust(given: TrustProxy): (address: string, hop: number) => boolean {
  if (typeof given === 'boolean') return () => given;
  if (typeof given === 'number') return (_address, hop) => hop < given;
  return proxyAddress.compile(given.split(',').map((part) => part.trim()));
}
