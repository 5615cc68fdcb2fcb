/** One event of `text/event-stream`. */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
}

/**
 * Takes a stream of server-sent events apart, as far as Synap writes it: lines end in LF, `id` and `retry` are not needed.
 * A heartbeat (a comment) comes as an event without data.
 */
export class EventStreamParser {
  #rest = '';

  /** @param chunk any piece of the text, cut anywhere */
  add(chunk: string): StreamEvent[] {
    const blocks = (this.#rest + chunk).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.map(parseBlock);
  }
}

function parseBlock(block: string): StreamEvent {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) event = line.slice('event:'.length).trim();
    if (line.startsWith('data:')) data.push(line.slice('data:'.length).replace(/^ /, ''));
  }
  return { event, data: data.join('\n') };
}
