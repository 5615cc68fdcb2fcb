import { useMemo, useSyncExternalStore } from 'react';
import type { ConnectionState } from '../types.js';
import { observe } from './client-source.js';
import { useSource } from './provider.js';

/** How the page is connected. Show it: a page that looks live and is not deceives its user. */
export function useConnectionState(): ConnectionState {
  const source = useSource();
  const state = useMemo(() => observe<ConnectionState>(source, (client) => client.state, 'connecting'), [source]);
  return useSyncExternalStore(state.subscribe, state.get, state.get);
}
