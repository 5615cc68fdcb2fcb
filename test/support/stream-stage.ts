import { createTestDatabase, type TestDatabase } from './database.js';
import {
  openStream,
  signedIn,
  startStreamServer,
  type OpenedStream,
  type StreamServer,
  type StreamServerOptions,
} from './event-source.js';
import { RealtimeStage, userNames } from './realtime.js';
import { roomKey, userRoom } from '../../src/realtime/rooms.js';

export const newUser = userNames('stream');

/** A realtime node with its streams, and clients of one user. */
export class StreamStage {
  readonly #streams: OpenedStream[] = [];
  readonly database: TestDatabase;
  readonly realtime: RealtimeStage;
  user = newUser();
  #server: StreamServer | undefined;

  private constructor(database: TestDatabase) {
    this.database = database;
    this.realtime = new RealtimeStage(database.url);
  }

  static async create(): Promise<StreamStage> {
    return new StreamStage(await createTestDatabase());
  }

  get server(): StreamServer {
    if (this.#server === undefined) throw new Error('the stage has not started');
    return this.#server;
  }

  get node() {
    return this.realtime.node;
  }

  get key(): string {
    return roomKey(userRoom(this.user));
  }

  async start(mode: 'redis' | 'local'): Promise<void> {
    this.user = newUser();
    await this.realtime.start(mode);
    await this.serve();
  }

  /** The same node with other settings of its streams. */
  async serve(options?: StreamServerOptions): Promise<void> {
    await this.#server?.close();
    this.#server = await startStreamServer(this.node, options);
  }

  async stop(): Promise<void> {
    for (const stream of this.#streams.splice(0)) stream.stop();
    await this.#server?.close();
    this.#server = undefined;
    await this.realtime.close();
  }

  async open(query = '', headers: Record<string, string> = {}, as = this.user): Promise<OpenedStream> {
    const address = `${this.server.url}/v1/notifications/stream${query}`;
    const stream = await openStream(address, await signedIn(as, headers));
    this.#streams.push(stream);
    return stream;
  }

  say(n: number, requestId?: string) {
    return this.realtime.say(this.user, n, requestId);
  }

  async head() {
    return (await this.node.log.heads([this.key])).get(this.key) ?? { epoch: null, seq: 0 };
  }

  /** Entries up to that number, as if they had been published long ago. */
  async fill(from: number, to: number): Promise<void> {
    await this.database.pool.query(
      `WITH made AS (
         INSERT INTO notifications (id, type, "userId", status, data)
         SELECT gen_random_uuid(), 't', $1, 'success', '{}' FROM generate_series($3::int, $4::int) RETURNING id
       ), entries AS (INSERT INTO room_entries SELECT $2, $3::int - 1 + row_number() OVER (), id FROM made)
       UPDATE rooms SET "lastSeq" = $4::int, "publishedSeq" = $4::int WHERE key = $2`,
      [this.user, this.key, from, to],
    );
  }

  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const { values } = (await this.server.metrics.registry.getSingleMetric(name)?.get()) ?? { values: [] };
    const matches = ({ labels: its }: { labels: Record<string, string | number | undefined> }) =>
      Object.entries(labels).every(([key, value]) => its[key] === value);
    return values.find(matches)?.value ?? 0;
  }
}
