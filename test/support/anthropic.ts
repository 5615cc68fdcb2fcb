import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server does with the next request. */
export type Reply =
  | { readonly kind: 'answer'; readonly pieces: readonly string[]; readonly inputTokens?: number }
  /** Some text, then the connection is cut. */
  | { readonly kind: 'cut'; readonly pieces: readonly string[] }
  /** Some text, then the stream ends as if it were complete. */
  | { readonly kind: 'truncated'; readonly pieces: readonly string[] }
  /** Some text, then the protocol's own error event. */
  | { readonly kind: 'errorEvent'; readonly pieces: readonly string[]; readonly type: string }
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly type: string;
      readonly headers?: Record<string, string>;
    }
  /** Piece by piece, as the test says them. */
  | { readonly kind: 'dictated'; readonly dictation: Dictation }
  /** Headers, and then nothing. */
  | { readonly kind: 'silence' };

/** An answer that a test speaks itself, so that it can act in the middle of it. */
export class Dictation {
  readonly #said: string[] = [];
  #hasEnded = false;
  #heard = Promise.withResolvers<void>();

  say(text: string): void {
    this.#said.push(text);
    this.#heard.resolve();
  }

  end(): void {
    this.#hasEnded = true;
    this.#heard.resolve();
  }

  async *pieces(): AsyncGenerator<string> {
    for (;;) {
      this.#heard = Promise.withResolvers();
      yield* this.#said.splice(0);
      if (this.#hasEnded) return;
      if (this.#said.length === 0) await this.#heard.promise;
    }
  }
}

export interface Asked {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: {
    readonly model: string;
    readonly stream: boolean;
    readonly messages: readonly { role: string; content: string }[];
  };
}

/** Speaks the Messages API's streaming protocol over real HTTP on the loopback; `replies` are used up in order. */
export interface AnthropicServer {
  readonly url: string;
  readonly asked: Asked[];
  readonly replies: Reply[];
  /** Resolves when the first request has arrived. */
  readonly received: Promise<void>;
  /** Resolves when a client has gone away from a reply that was not finished. */
  readonly abandoned: Promise<void>;
  stop(): Promise<void>;
}

export async function startAnthropic(): Promise<AnthropicServer> {
  const asked: Asked[] = [];
  const replies: Reply[] = [];
  const received = Promise.withResolvers<void>();
  const abandoned = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    response.once('close', () => {
      if (!response.writableEnded) abandoned.resolve();
    });
    void readBody(request).then((body) => {
      asked.push({ headers: request.headers, body: JSON.parse(body) as Asked['body'] });
      received.resolve();
      reply(response, request.url, replies.shift());
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    replies,
    received: received.promise,
    abandoned: abandoned.promise,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function reply(response: ServerResponse, url: string | undefined, next: Reply | undefined): void {
  if (url !== '/v1/messages' || next === undefined) {
    fail(response, { kind: 'status', status: 500, type: 'api_error' });
    return;
  }
  if (next.kind === 'status') {
    fail(response, next);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream', 'request-id': 'req_test' });
  response.flushHeaders();
  if (next.kind === 'silence') return;
  if (next.kind === 'dictated') {
    void take(response, next.dictation);
    return;
  }
  begin(response, next.kind === 'answer' ? (next.inputTokens ?? 12) : 12, next.pieces);
  switch (next.kind) {
    case 'answer':
      complete(response, next.pieces.length);
      break;
    case 'cut':
      response.write('', () => response.destroy());
      break;
    case 'truncated':
      response.end();
      break;
    case 'errorEvent':
      send(response, { type: 'error', error: { type: next.type, message: 'from the test' } });
      response.end();
      break;
  }
}

function fail(response: ServerResponse, { status, type, headers = {} }: Extract<Reply, { kind: 'status' }>): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ type: 'error', error: { type, message: 'from the test' } }));
}

function begin(response: ServerResponse, inputTokens: number, pieces: readonly string[]): void {
  const message = {
    id: 'msg_test',
    type: 'message',
    role: 'assistant',
    model: 'test',
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
  send(response, {
    type: 'message_start',
    message: { ...message, usage: { input_tokens: inputTokens, output_tokens: 1 } },
  });
  send(response, { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } });
  for (const text of pieces) sendPiece(response, text);
}

function sendPiece(response: ServerResponse, text: string): void {
  send(response, { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
}

async function take(response: ServerResponse, dictation: Dictation): Promise<void> {
  begin(response, 12, []);
  let count = 0;
  for await (const text of dictation.pieces()) {
    sendPiece(response, text);
    count += 1;
  }
  complete(response, count);
}

function complete(response: ServerResponse, outputTokens: number): void {
  send(response, { type: 'content_block_stop', index: 0 });
  send(response, {
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: { output_tokens: outputTokens },
  });
  send(response, { type: 'message_stop' });
  response.end();
}

function send(response: ServerResponse, event: { readonly type: string } & Record<string, unknown>): void {
  response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
