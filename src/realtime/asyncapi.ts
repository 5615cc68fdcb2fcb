import { z } from 'zod';
import * as contract from './contract.js';

type Schema = z.ZodType;

/** One message that a side sends: its name on the wire, its payload, what answers it. */
interface Message {
  readonly payload?: Schema;
  readonly summary: string;
  readonly examples?: readonly object[];
  /** What the acknowledgement carries. */
  readonly answer?: { readonly name: string; readonly payload: Schema; readonly mayRefuse: boolean };
}

const epoch = '5f0c1f8e-3a53-4a3c-9f6e-0d5a3c1b2e4d';
const id = '019ac0de-6d3c-7a55-9d3f-2f1f3b8f7c11';
const room = 'request_req-123';
const timestamp = '2026-01-01T12:00:00.000Z';
const notification = {
  ...{ id, type: 'note.creation.completed', data: { title: 'Groceries' }, status: 'success', timestamp },
  ...{ requestId: 'req-123', eventId: id, room, seq: 2, epoch },
};
const progress = { room, requestId: 'req-123', eventId: id, percent: 40, message: 'Reading', timestamp };
const delta = { room, requestId: 'req-123', eventId: id, attempt: 1, offset: 0, text: 'Your notes say' };
const closing = { code: 'token_expired', message: 'The token has expired' };

/** Complete by its type: an event of the contract that is missing here does not compile. */
const said = {
  subscribe: {
    payload: contract.subscribeRequest,
    summary: 'Hear a room, from where the client is; ask again with `since` after each reconnection.',
    examples: [{ room }, { room, since: { epoch, seq: 1 }, paged: true }],
    answer: { name: 'subscribed', payload: contract.subscribed, mayRefuse: true },
  },
  unsubscribe: {
    payload: contract.unsubscribeRequest,
    summary: 'Leave a room.',
    examples: [{ room }],
    answer: { name: 'unsubscribed', payload: contract.unsubscribed, mayRefuse: true },
  },
  authenticate: {
    payload: contract.authenticateRequest,
    summary: 'Show a new token of the same user, before the old one ends.',
    examples: [{ token: 'eyJhbGciOi…' }],
    answer: { name: 'authenticated', payload: contract.authenticated, mayRefuse: true },
  },
  acknowledge: {
    payload: contract.acknowledgeRequest,
    summary: 'Say up to where a room has reached this device and been seen by its user.',
    examples: [{ room, epoch, delivered: 2, seen: 1 }],
    answer: { name: 'acknowledged', payload: contract.acknowledged, mayRefuse: true },
  },
  ping: {
    summary:
      'Ask for the newest number of each room. Answered by the event `pong` where no acknowledgement is asked for.',
    answer: { name: 'pong', payload: contract.pong, mayRefuse: false },
  },
} satisfies Record<keyof contract.ClientToServerEvents, Message>;

const heard = {
  ready: { payload: contract.ready, summary: 'The first message of a connection.' },
  notification: { payload: contract.wireNotification, summary: 'In order per room, once.', examples: [notification] },
  notifications: {
    payload: z.array(contract.wireNotification),
    summary: 'A burst in one frame, only to clients that connect with `batch: true`.',
  },
  progress: { payload: contract.wireProgress, summary: 'How far a request is; may be lost.', examples: [progress] },
  delta: { payload: contract.wireDelta, summary: 'A piece of an answer that is being written.', examples: [delta] },
  pong: { payload: contract.pong, summary: 'The answer to a ping without acknowledgement.' },
  check: { summary: 'Something may have been missed: ping, or subscribe again with `since`.' },
  closing: { payload: contract.closing, summary: 'The server is about to close.', examples: [closing] },
} satisfies Record<keyof contract.ServerToClientEvents, Message>;

const streamed = {
  ready: { payload: contract.streamReady, summary: 'The first event; its id is where the stream goes on from.' },
  notification: {
    payload: contract.wireNotification,
    summary: 'In order, once; its id is `<epoch>.<seq>`.',
    examples: [notification],
  },
  progress: heard.progress,
  delta: heard.delta,
  reset: { payload: contract.streamReset, summary: 'What came before this number is not to be had here any more.' },
  closing: heard.closing,
} satisfies Record<keyof contract.StreamEvents, Message>;

const schemas = z.registry<{ id: string }>();
for (const schema of Object.values<unknown>(contract)) {
  if (!(schema instanceof z.ZodType)) continue;
  const named = schema.meta()?.id;
  if (named !== undefined) schemas.add(schema, { id: named });
}
// Any JSON is a schema that contains itself, so it needs a name.
schemas.add(contract.wireNotification.shape.data, { id: 'Json' });

const reference = (name: string) => `#/components/schemas/${name}`;

/** draft-07, which AsyncAPI's own schema form contains. What comes in is described: clients ignore members that they do not know. */
function componentSchemas(): Record<string, object> {
  const { schemas: made } = z.toJSONSchema(schemas, { target: 'draft-7', io: 'input', uri: reference });
  return Object.fromEntries(Object.entries(made).map(([name, schema]) => [name, plain(schema)]));
}

/** Without the members that are about the document that a schema would be by itself. */
function plain({ $schema: _schema, $id: _id, id: _name, ...schema }: Record<string, unknown>): object {
  return schema;
}

function payloadOf(schema: Schema | undefined): object {
  if (schema === undefined) return { type: 'null', description: 'Nothing' };
  const named = schemas.get(schema)?.id;
  if (named !== undefined) return { $ref: reference(named) };
  return schema instanceof z.ZodArray
    ? { type: 'array', items: payloadOf(schema.element as Schema) }
    : plain(z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }));
}

function toMessage(name: string, { payload, summary, examples }: Message): object {
  return {
    name,
    summary,
    contentType: 'application/json',
    payload: payloadOf(payload),
    ...(examples !== undefined && { examples: examples.map((example) => ({ payload: example })) }),
  };
}

type Messages = Readonly<Record<string, Message>>;

function channel(address: string, description: string, messages: Messages): object {
  const entries = Object.entries(messages).map(([name, message]) => [name, toMessage(name, message)]);
  return { address, description, messages: Object.fromEntries(entries) as object };
}

const messageReference = (of: string, name: string) => ({ $ref: `#/channels/${of}/messages/${name}` });

/** The server receives: each event of a client, with its acknowledgement as the reply. */
function receiving(): Record<string, object> {
  return Object.fromEntries(
    Object.entries<Message>(said).map(([name, { summary, answer }]) => {
      const replies = answer === undefined ? [] : [answer.name, ...(answer.mayRefuse ? ['refused'] : [])];
      const reply = {
        channel: { $ref: '#/channels/answers' },
        messages: replies.map((each) => messageReference('answers', each)),
      };
      const messages = [messageReference('socket', name)];
      return [name, { action: 'receive', summary, channel: { $ref: '#/channels/socket' }, messages, reply }];
    }),
  );
}

function sending(of: string, prefix: string, messages: Messages): Record<string, object> {
  return Object.fromEntries(
    Object.entries(messages).map(([name, { summary }]) => [
      `${prefix}${name[0]?.toUpperCase()}${name.slice(1)}`,
      { action: 'send', summary, channel: { $ref: `#/channels/${of}` }, messages: [messageReference(of, name)] },
    ]),
  );
}

function channels(): Record<string, object> {
  const answers = Object.fromEntries(
    Object.values<Message>(said).flatMap(({ answer }) =>
      answer === undefined ? [] : [[answer.name, { payload: answer.payload, summary: 'An acknowledgement.' }]],
    ),
  );
  const refused: Message = { payload: contract.refused, summary: 'What was asked for is refused, and why.' };
  return {
    socket: channel('/', 'Socket.IO’s namespace: each message is an event, its payload the first argument.', {
      ...heard,
      ...said,
    }),
    answers: channel('/', 'Acknowledgements: the argument of the callback that goes with an event.', {
      ...answers,
      refused,
    }),
    stream: {
      ...channel('/v1/notifications/stream', 'A room as server-sent events, resumed with Last-Event-ID.', streamed),
      bindings: { http: {} },
    },
  };
}

const securitySchemes = {
  handshake: {
    type: 'httpApiKey',
    name: 'auth',
    in: 'query',
    description:
      'Socket.IO’s handshake: io(url, { auth: { token } }), a JWT; see the schema Auth. Not part of the address.',
  },
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
  accessToken: {
    type: 'httpApiKey',
    name: 'access_token',
    in: 'query',
    description: 'For EventSource, which cannot send headers',
  },
};

/** Where a client reaches this server: `host` with its port, where it is not the protocol's own. */
export interface ServerPlace {
  readonly host: string;
  readonly isSecure: boolean;
}

function servers({ host, isSecure }: ServerPlace): object {
  const security = (...names: string[]) => names.map((name) => ({ $ref: `#/components/securitySchemes/${name}` }));
  return {
    socket: {
      ...{ host, pathname: '/socket.io/', protocol: isSecure ? 'wss' : 'ws' },
      description: 'Socket.IO 4: its frames over a WebSocket, or by long polling at the same path.',
      security: security('handshake', 'bearer'),
    },
    stream: { host, protocol: isSecure ? 'https' : 'http', security: security('bearer', 'accessToken') },
  };
}

/** The realtime contract as an AsyncAPI 3 document, made from the schemas that the server checks with, but for its `servers`. */
function createContract(version: string): object {
  return {
    asyncapi: '3.0.0',
    id: 'urn:synap:realtime',
    info: {
      title: 'Synap realtime',
      version,
      description: 'What is said over the socket (Socket.IO 4) and over streams of server-sent events.',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    channels: channels(),
    operations: {
      ...receiving(),
      ...sending('socket', 'hear', heard),
      ...sending('stream', 'stream', streamed),
    },
    components: { schemas: componentSchemas(), securitySchemes },
  };
}

/** @returns the document as a client at that place needs it */
export function createAsyncApi(version: string): (place: ServerPlace) => object {
  const described = createContract(version);
  return (place) => ({ ...described, servers: servers(place) });
}
