import { useCallback } from 'react';
import type { OutgoingEvent, Sent } from '../types.js';
import type { ClientSource } from './client-source.js';
import { useSource } from './provider.js';

/**
 * Posts events; also offline, they go out later. Make the request id yourself (`crypto.randomUUID()`) where you want to show
 * the request with `useRequest` from its first moment.
 */
export function useSend(): (event: OutgoingEvent) => Sent {
  return useSendTo(useSource());
}

export function useSendTo(source: ClientSource): (event: OutgoingEvent) => Sent {
  return useCallback((event) => source.client().send(event), [source]);
}
