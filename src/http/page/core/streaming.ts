import type { WireDelta } from '../../../realtime/contract.js';

/** Text that is still being made, as far as it has come. */
export interface StreamedText {
  readonly attempt: number;
  readonly text: string;
}

export const noText: StreamedText = { attempt: 0, text: '' };

/**
 * Adds a piece. A newer attempt starts over, an older one is late and ignored. A piece behind a gap (this page came late or
 * lost a frame) is left out: the durable notification brings the whole text.
 */
export function addDelta(current: StreamedText, delta: Pick<WireDelta, 'attempt' | 'offset' | 'text'>): StreamedText {
  if (delta.attempt < current.attempt) return current;
  const text = delta.attempt === current.attempt ? current.text : '';
  if (delta.offset > text.length) return { attempt: delta.attempt, text };
  return { attempt: delta.attempt, text: text.slice(0, delta.offset) + delta.text };
}
