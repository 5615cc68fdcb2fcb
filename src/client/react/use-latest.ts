import { useInsertionEffect, useRef, type RefObject } from 'react';

/** The value of the last committed render, for what outlives a render: callbacks may change without connecting anew. */
export function useLatest<T>(value: T): Readonly<RefObject<T>> {
  const latest = useRef(value);
  // Before all other effects, so that none of them sees an older one.
  useInsertionEffect(() => {
    latest.current = value;
  });
  return latest;
}
