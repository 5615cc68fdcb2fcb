import { createContext, createElement, useContext, useEffect, useMemo, type ReactElement, type ReactNode } from 'react';
import { createSynapClient } from '../index.js';
import type { SynapClient, SynapClientOptions } from '../types.js';
import { givenClient, OwnClient, type ClientSource } from './client-source.js';
import { useLatest } from './use-latest.js';

const SourceContext = /* @__PURE__ */ createContext<ClientSource | undefined>(undefined);

export type SynapProviderProps = { readonly children?: ReactNode } & (
  | { readonly client: SynapClient; readonly options?: never }
  | { readonly options: SynapClientOptions; readonly client?: never }
);

/**
 * One client for all hooks below. With `options` it is made here and closed on unmount; `token` may be another function at each
 * render, another `url` is another client. For another user give the provider another `key`.
 */
export function SynapProvider({ client, options, children }: SynapProviderProps): ReactElement {
  const own = useOwnClient(options, options === undefined ? undefined : (options.url ?? ''));
  const given = useMemo(() => (client === undefined ? undefined : givenClient(client)), [client]);
  const source = given ?? own;
  useEffect(() => source?.hold(), [source]);
  return createElement(SourceContext.Provider, { value: source }, children);
}

/** The nearest provider's client, or one of the caller's own where `options` are given. */
export function useSource(options?: SynapClientOptions, identity?: string): ClientSource {
  const provided = useContext(SourceContext);
  const source = useOwnClient(options, options === undefined ? undefined : (identity ?? '')) ?? provided;
  if (source === undefined) throw new Error('This hook needs a <SynapProvider> above it.');
  return source;
}

/** @param identity a client lasts as long as this is the same; the token and its provider may change. */
function useOwnClient(options: SynapClientOptions | undefined, identity: string | undefined): OwnClient | undefined {
  const latest = useLatest(options);
  return useMemo(() => {
    if (identity === undefined) return undefined;
    const token = (): string | Promise<string> => {
      const given = latest.current?.token ?? '';
      return typeof given === 'function' ? given() : given;
    };
    return new OwnClient(() => createSynapClient({ ...latest.current, token }));
  }, [identity, latest]);
}
