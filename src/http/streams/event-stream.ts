import { once } from 'node:events';
import type { Response } from 'express';
import type { StreamFrame, StreamSince, StreamSink } from '../../realtime/reading/room-stream.js';

/** `<epoch>.<seq>`, what a client sends back as Last-Event-ID; of a room without notifications `null.0.<milliseconds of its time>`. */
const toEventId = ({ epoch, seq, at }: StreamSince): string =>
  epoch === null && at !== undefined ? `null.${seq}.${Date.parse(at)}` : `${epoch ?? 'null'}.${seq}`;

const form = /^(null|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,15})(?:\.(\d{1,15}))?$/;

export function parseEventId(text: string): StreamSince | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, epoch = 'null', seq, at] = match;
  return {
    epoch: epoch === 'null' ? null : epoch,
    seq: Number(seq),
    ...(at !== undefined && { at: new Date(Number(at)).toISOString() }),
  };
}

const maxStuckBeats = 2;

/** One answer as a stream of server-sent events. What its client does not take waits in memory, up to a bound. */
export class EventStream implements StreamSink {
  readonly #res: Response;
  readonly #maxBufferedBytes: number;
  readonly #onSlow: () => void;
  /** Heartbeats since which nothing that was sent has been taken whole. */
  #stuckBeats = 0;

  constructor(res: Response, maxBufferedBytes: number, onSlow: () => void) {
    this.#res = res;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#onSlow = onSlow;
    res.on('drain', () => {
      this.#stuckBeats = 0;
    });
  }

  begin(): void {
    this.#res.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      // Proxies must neither keep it, nor compress it, nor gather it.
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    });
    this.#res.flushHeaders();
  }

  send({ event, payload }: StreamFrame, at?: StreamSince): void {
    const id = at === undefined ? '' : `id: ${toEventId(at)}\n`;
    // JSON has no line breaks of its own.
    this.#write(`${id}event: ${event}\ndata: ${JSON.stringify(payload)}\n\n`);
  }

  /** Keeps the way open through proxies that close what is silent. */
  heartbeat(): void {
    if (this.#res.writableNeedDrain && ++this.#stuckBeats > maxStuckBeats) return this.#onSlow();
    this.#write(': heartbeat\n\n');
  }

  /** @param retryMs when its client is to come back */
  end(frame: StreamFrame, retryMs: number): void {
    if (this.#res.writableEnded) return;
    this.send(frame);
    this.#res.end(`retry: ${retryMs}\n\n`);
  }

  destroy(): void {
    this.#res.destroy();
  }

  async drained(): Promise<void> {
    if (this.#res.destroyed || !this.#res.writableNeedDrain) return;
    const over = new AbortController();
    const first = (event: string) => once(this.#res, event, { signal: over.signal }).catch(() => undefined);
    await Promise.race([first('drain'), first('close')]);
    over.abort();
  }

  #write(chunk: string): void {
    if (this.#res.writableEnded || this.#res.destroyed) return;
    // What waits already, and not this one: a single long notification is nobody's fault.
    if (this.#res.writableLength > this.#maxBufferedBytes) this.#onSlow();
    else this.#res.write(chunk);
  }
}
