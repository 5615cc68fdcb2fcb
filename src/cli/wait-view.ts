import type { WireDelta, WireNotification, WireProgress } from '../realtime/contract.js';
import type { Output } from './commands/context.js';
import { showDuration } from './durations.js';
import type { Accepted } from './http.js';
import { notificationLine } from './show.js';
import type { Terminal } from './terminal.js';

/** What `send --wait` shows: a line a stage and the streamed text as it comes, or with --json a JSON line for each. */
export class WaitView {
  readonly #terminal: Terminal;
  readonly #output: Output;
  readonly #startedAt = performance.now();
  #streamed = '';
  #attempt = 0;

  constructor(terminal: Terminal, output: Output) {
    this.#terminal = terminal;
    this.#output = output;
  }

  accepted(accepted: Accepted): void {
    const { faint } = this.#terminal.style;
    this.#line({ kind: 'accepted', ...accepted }, `accepted   ${this.#took()}  ${faint(`event ${accepted.eventId}`)}`);
  }

  progress(progress: WireProgress): void {
    const text = `${String(progress.percent).padStart(3)} %      ${this.#took()}  ${progress.message ?? ''}`;
    this.#line({ kind: 'progress', ...progress }, text.trimEnd());
  }

  /** Pieces are written one after the other; one that repeats or comes after a gap waits for the whole in the notification. */
  delta(delta: WireDelta): void {
    if (this.#output.json) return this.#output.print({ kind: 'delta', ...delta }, '');
    if (delta.attempt !== this.#attempt) {
      this.#endStream();
      this.#attempt = delta.attempt;
      this.#streamed = '';
    }
    if (delta.offset !== this.#streamed.length) return;
    this.#streamed += delta.text;
    this.#terminal.out(delta.text);
  }

  notification(notification: WireNotification): void {
    const line = notificationLine(notification, this.#terminal.style);
    this.#line({ kind: 'notification', ...notification }, line);
    if (this.#output.json || notification.status === 'pending') return;
    this.#terminal.out(`${JSON.stringify(notification.data, null, 2)}\n`);
    this.#terminal.err(
      `${this.#terminal.style.faint(`${notification.status === 'success' ? 'completed' : 'failed'} in ${this.#took()}`)}\n`,
    );
  }

  connection(isConnected: boolean): void {
    this.#terminal.err(`${isConnected ? 'connected again' : 'connection lost, trying again'}\n`);
  }

  #line(value: unknown, text: string): void {
    this.#endStream();
    this.#output.print(value, text);
  }

  #endStream(): void {
    if (this.#streamed !== '' && !this.#streamed.endsWith('\n')) this.#terminal.out('\n');
    this.#streamed = '';
  }

  #took(): string {
    return showDuration(performance.now() - this.#startedAt);
  }
}
