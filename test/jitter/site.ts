import path from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../support/ports.ts';
import { nextEvent } from '../support/signals.ts';
import { endChild, startChild } from '../faults/stack/child.ts';
import { Proxy } from '../faults/stack/proxy.ts';
import { Role } from '../faults/stack/role.ts';
import { Stack } from '../faults/stack/stack.ts';

const replicas = 2;

/**
 * Synap and the control on one Redis. Who listens there and who publishes have ways of their own, so that either can be deaf or mute
 * alone:
 *
 *     realtime, control servers ─▶ listening ─┐
 *                                             ├─▶ redisProxy ─▶ Redis
 *     api, dispatcher, workers, ─▶ publishing ┘
 *     control emitter
 */
export class Site {
  readonly stack: Stack;
  readonly controls: readonly Role[];
  readonly listening: Proxy;
  readonly publishing: Proxy;
  readonly #cleanUp: (() => Promise<unknown>)[];

  private constructor(
    parts: Pick<Site, 'stack' | 'controls' | 'listening' | 'publishing'>,
    cleanUp: (() => Promise<unknown>)[],
  ) {
    this.stack = parts.stack;
    this.controls = parts.controls;
    this.listening = parts.listening;
    this.publishing = parts.publishing;
    this.#cleanUp = cleanUp;
  }

  static async start(directory: string): Promise<Site> {
    // Where they lead to is known once the stack has a Redis.
    const [listening, publishing] = [await Proxy.listen(0), await Proxy.listen(0)];
    const cleanUp: (() => Promise<unknown>)[] = [() => listening.close(), () => publishing.close()];
    try {
      const stack = await Stack.start({
        directory,
        processes: [
          'api',
          'dispatcher',
          'worker',
          'worker',
          ...Array.from({ length: replicas }, () => 'realtime' as const),
        ],
        // As in production: nothing is done to Postgres here, and the machine is full.
        env: { DB_QUERY_TIMEOUT_MS: '10000', WATCHDOG_TIMEOUT_MS: '15000' },
        // Says when each notification was committed, to the microsecond.
        postgresSettings: { track_commit_timestamp: 'on' },
        redisPortOf: (role, usual) => {
          listening.retarget(usual);
          publishing.retarget(usual);
          return role === 'realtime' ? listening.port : publishing.port;
        },
      });
      cleanUp.unshift(() => stack.stop());
      const controls = await Promise.all(
        stack.of('realtime').map((_, nth) => makeControl(directory, nth + 1, listening.port)),
      );
      cleanUp.unshift(() => Promise.all(controls.map((control) => control.end('SIGKILL'))));
      await Promise.all(controls.map((control) => control.start()));
      return new Site({ stack, controls, listening, publishing }, cleanUp);
    } catch (thrown) {
      for (const end of cleanUp) await end().catch(() => undefined);
      throw thrown;
    }
  }

  /** From now on the control is told what is committed to the rooms of users whose ids begin so. */
  async startEmitter(prefix: string): Promise<void> {
    const { postgres } = this.stack;
    const child = await startChild(
      process.execPath,
      [
        path.join(import.meta.dirname, 'control/emitter.ts'),
        postgres.urlAt(postgres.port),
        `redis://127.0.0.1:${this.publishing.port}`,
        prefix,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    this.#cleanUp.unshift(() => endChild(child, 'SIGKILL'));
    if (child.stdout !== null) await nextEvent(createInterface({ input: child.stdout }), 'line');
  }

  /** Both replicas of that number, Synap's and the control's: what happens to one happens to the other. */
  replicas(nth: number): readonly Role[] {
    const control = this.controls[nth];
    if (control === undefined) throw new Error(`there is no control ${nth}`);
    return [this.stack.one('realtime', nth), control];
  }

  async heal(): Promise<void> {
    for (const proxy of [this.listening, this.publishing]) proxy.let('pass');
    for (const control of this.controls) control.thaw();
    await Promise.all([this.stack.heal(), ...this.controls.map((control) => control.start())]);
  }

  async stop(): Promise<void> {
    for (const end of this.#cleanUp) await end();
  }
}

async function makeControl(directory: string, nth: number, redisPort: number): Promise<Role> {
  const port = await freePort();
  return new Role({
    name: `control-${nth}`,
    role: 'control',
    port,
    entry: path.join(import.meta.dirname, 'control/server.ts'),
    env: {
      PATH: process.env['PATH'] ?? '',
      PORT: String(port),
      REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    },
    logDirectory: path.join(directory, 'logs'),
  });
}
