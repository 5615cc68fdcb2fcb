import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ManualClock } from '../../test/support/manual-clock.js';
import { ModelRoom } from '../../test/support/model-room.js';
import type { RoomHead, Subscribed, SubscribeRequest, WireNotification } from '../realtime/contract.js';
import { createEnvironment } from './environment.js';
import { Room } from './room.js';
import { ConnectionLost, type Calls } from './session.js';

type Answer = Calls['subscribe'][1];

interface Question {
  readonly since: SubscribeRequest['since'];
  /** Of the moment in which the server read. */
  answer: Answer | undefined;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

class Listener {
  readonly from: RoomHead | undefined;
  readonly heard: WireNotification[] = [];
  readonly resets: string[] = [];
  /** What was committed when it was told that it hears. */
  committedThen = 0;

  constructor(from: RoomHead | undefined) {
    this.from = from;
  }

  get numbers(): number[] {
    return this.heard.map(({ seq }) => seq);
  }
}

const beginning: RoomHead = { epoch: null, seq: 0 };

/** A room between a server and listeners, both played: questions, answers and frames are under way for as long as the dice say. */
class Stage {
  readonly clock = new ManualClock();
  readonly model = new ModelRoom();
  readonly listeners: Listener[] = [];
  readonly questions: Question[] = [];
  readonly room: Room;
  #under: WireNotification[] = [];
  #isConnected = true;

  constructor() {
    const thrown = (error: unknown) => {
      throw error;
    };
    this.room = new Room('user_ada', undefined, {
      link: () => ({
        call: (_name, message) => this.#ask((message as SubscribeRequest).since),
        tell: () => undefined,
      }),
      environment: { ...createEnvironment(), now: this.clock.now, after: (ms, run) => this.clock.after(ms, run) },
      acknowledges: false,
      onNotification: () => undefined,
      onError: thrown,
      onRefused: thrown,
    });
  }

  readonly steps: readonly (() => void)[] = [
    () => this.publish(),
    () => this.publish(),
    () => this.deliver(),
    () => this.deliver(),
    () => void this.#under.shift(),
    () => this.read(),
    () => this.read(),
    () => this.answer(),
    () => this.answer(),
    () => this.listen(undefined),
    () => this.listen(beginning),
    () => this.listen(this.#middle),
    () => this.room.join(),
    () => this.disconnect(),
    () => this.connect(),
  ];

  publish(): void {
    const notification = this.model.publish();
    if (this.#isConnected) this.#under.push(notification);
  }

  deliver(): void {
    const frame = this.#under.shift();
    if (frame !== undefined) this.room.notified(frame);
  }

  /** The server reads: what is committed from now on is not in this answer. */
  read(pageSize = 2): void {
    const question = this.questions.find(({ answer }) => answer === undefined);
    if (question !== undefined) question.answer = this.model.answer(question.since, pageSize);
  }

  /** The answer arrives. */
  answer(): void {
    if (this.questions[0]?.answer === undefined) return;
    const question = this.questions.shift();
    question?.resolve(question.answer as Subscribed);
  }

  listen(from: RoomHead | undefined): Listener {
    const listener = new Listener(from);
    this.listeners.push(listener);
    this.room.listen(
      {
        onNotification: (notification) => listener.heard.push(notification),
        onReset: (reason) => {
          listener.resets.push(reason);
          listener.committedThen = this.model.log.length;
        },
      },
      from,
    );
    return listener;
  }

  disconnect(): void {
    this.#isConnected = false;
    this.#under = [];
    for (const { reject } of this.questions.splice(0)) reject(new ConnectionLost());
  }

  connect(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.room.join();
  }

  /** Until nothing is under way, and the server has said how far it is. */
  async settle(): Promise<void> {
    this.connect();
    for (let round = 0; round < 100; round += 1) {
      if (round === 50) this.room.compare({ user_ada: this.model.head });
      this.deliver();
      this.read(100);
      this.answer();
      await turn();
    }
  }

  get #middle(): RoomHead {
    const { epoch, seq } = this.model.head;
    return seq < 2 ? beginning : { epoch, seq: Math.floor(seq / 2) };
  }

  #ask(since: SubscribeRequest['since']): Promise<Answer> {
    if (!this.#isConnected) return Promise.reject(new ConnectionLost());
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.questions.push({ since, answer: undefined, resolve, reject });
    return promise;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const from = (first: number, last: number) =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => first + n);

describe('those who listen to one room', () => {
  test('one who wants what came before hears it, though the answer to another one is under way', async () => {
    const stage = new Stage();
    for (let n = 0; n < 5; n += 1) stage.publish();
    const now = stage.listen(undefined);
    stage.room.join();
    const all = stage.listen(beginning);
    await stage.settle();
    expect([now.numbers, all.numbers]).toEqual([[], [1, 2, 3, 4, 5]]);
  });

  test('one who comes while a new connection asks hears what came before', async () => {
    const stage = new Stage();
    stage.listen(undefined);
    stage.room.join();
    await stage.settle();
    for (let n = 0; n < 3; n += 1) stage.publish();
    await stage.settle();
    stage.disconnect();
    await turn();
    stage.publish();
    stage.connect();
    const all = stage.listen(beginning);
    await stage.settle();
    expect(all.numbers).toEqual([1, 2, 3, 4]);
  });

  test('whoever comes when, from wherever: each hears all from its place on, in order, once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 14 }), { minLength: 5, maxLength: 50 }), async (script) => {
        const stage = new Stage();
        stage.listen(undefined);
        stage.room.join();
        for (const step of script) {
          stage.steps[step]?.();
          await Promise.resolve();
        }
        await stage.settle();
        const last = stage.model.log.length;
        for (const listener of stage.listeners) {
          expect(listener.resets).toEqual(['first']);
          const heardFrom = listener.numbers[0] ?? last + 1;
          expect(listener.numbers).toEqual(from(listener.from === undefined ? heardFrom : listener.from.seq + 1, last));
          // From now on is from when it was told so, at the latest.
          expect(listener.from !== undefined || heardFrom <= listener.committedThen + 1).toBe(true);
        }
        expect(stage.questions).toEqual([]);
      }),
      { seed: 6, numRuns: 300 },
    );
  });
});
