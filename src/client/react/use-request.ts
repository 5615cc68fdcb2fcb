import { useMemo, useSyncExternalStore } from 'react';
import type { RequestState } from '../types.js';
import { LiveStore } from './live-store.js';
import { observe } from './client-source.js';
import { useSource } from './provider.js';

/**
 * One request from its sending to its end: how far it is, the text that it streams, its result or its error. A page that comes
 * later, or again, gets all of it. Undefined as long as there is no request id.
 */
export function useRequest(requestId: string): RequestState;
export function useRequest(requestId: string | undefined): RequestState | undefined;
export function useRequest(requestId: string | undefined): RequestState | undefined {
  const source = useSource();
  const state = useMemo(
    () =>
      requestId === undefined
        ? new LiveStore<RequestState | undefined>(undefined, () => () => undefined)
        : observe<RequestState | undefined>(source, (client) => client.request(requestId), unknownYet(requestId)),
    [source, requestId],
  );
  return useSyncExternalStore(state.subscribe, state.get, state.get);
}

const unknownYet = (requestId: string): RequestState => ({
  requestId,
  status: 'sending',
  percent: 0,
  message: undefined,
  text: '',
  result: undefined,
  error: undefined,
  notifications: [],
});
