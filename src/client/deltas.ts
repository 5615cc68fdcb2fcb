import type { WireDelta, WireNotification } from '../realtime/contract.js';

/** An answer that is being written, as far as it has come. */
export interface StreamedText {
  readonly requestId: string;
  readonly eventId: string;
  readonly text: string;
}

interface Stream {
  readonly attempt: number;
  readonly text: string;
  readonly hasEnded: boolean;
}

export interface DeltaOutcome {
  /** Texts that have changed, whole. */
  readonly texts: readonly StreamedText[];
  /** A piece is missing: subscribing again brings the text so far. */
  readonly hasGap: boolean;
}

const nothing: DeltaOutcome = { texts: [], hasGap: false };
const unknown: Stream = { attempt: 0, text: '', hasEnded: false };
const maxStreams = 100;
const maxWaiting = 1_000;

/**
 * The streamed texts of one room. What is shown is always the beginning of what the newest attempt has written: pieces are put where
 * their offset says, repeated ones change nothing, and a piece behind a gap is never shown.
 */
export class Deltas {
  readonly #streams = new Map<string, Stream>();
  #waiting: WireDelta[] | undefined = [];

  /** A subscription is under way: its answer has the text so far, and what comes now goes behind it. */
  joining(): void {
    this.#waiting ??= [];
  }

  add(delta: WireDelta): DeltaOutcome {
    if (this.#waiting === undefined) return this.#take(delta);
    this.#waiting.push(delta);
    if (this.#waiting.length > maxWaiting) this.#waiting.shift();
    return nothing;
  }

  joined(streams: readonly WireDelta[]): DeltaOutcome {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    const outcomes = [...streams, ...waiting].map((delta) => this.#take(delta));
    return {
      texts: lastOfEach(outcomes.flatMap(({ texts }) => texts)),
      hasGap: outcomes.some(({ hasGap }) => hasGap),
    };
  }

  /** The durable notification wins: what comes late of that attempt, or of an older one, is not shown any more. */
  end({ status, eventId, requestId }: Pick<WireNotification, 'status' | 'eventId' | 'requestId'>): void {
    if (status === 'pending') return;
    for (const [key, stream] of this.#streams) {
      if (eventId === undefined ? key.startsWith(`${requestId} `) : key === `${requestId} ${eventId}`)
        this.#streams.set(key, { ...stream, text: '', hasEnded: true });
    }
  }

  #take(delta: WireDelta): DeltaOutcome {
    const key = `${delta.requestId} ${delta.eventId}`;
    const known = this.#streams.get(key) ?? unknown;
    if (delta.attempt < known.attempt || (delta.attempt === known.attempt && known.hasEnded)) return nothing;
    const isNewer = delta.attempt > known.attempt;
    const before = isNewer ? '' : known.text;
    const hasGap = delta.offset > before.length;
    const text = hasGap ? before : before + delta.text.slice(before.length - delta.offset);
    if (text === known.text && !isNewer) return { texts: [], hasGap };
    this.#set(key, { attempt: delta.attempt, text, hasEnded: false });
    const { requestId, eventId } = delta;
    return { texts: text === known.text ? [] : [{ requestId, eventId, text }], hasGap };
  }

  #set(key: string, stream: Stream): void {
    this.#streams.delete(key);
    this.#streams.set(key, stream);
    const [oldest] = this.#streams.keys();
    if (this.#streams.size > maxStreams && oldest !== undefined) this.#streams.delete(oldest);
  }
}

function lastOfEach(texts: readonly StreamedText[]): StreamedText[] {
  return [...new Map(texts.map((text) => [`${text.requestId} ${text.eventId}`, text])).values()];
}
