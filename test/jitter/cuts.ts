import { setTimeout as delay } from 'node:timers/promises';
import { nextArrivalMs, seededRandom } from '../faults/random.ts';
import { Proxy } from '../faults/stack/proxy.ts';
import type { Device } from './plan.ts';

/** A connection that was cut, as its device's history shows it. Times are milliseconds since the epoch. */
export interface Cut {
  readonly device: number;
  readonly at: number;
  /** Before it was cut it carried nothing for so long. */
  readonly silentMs: number;
  /** After it nothing was let through for so long. */
  readonly offlineMs: number;
}

const meanBetweenMs = 2_000;
const longestOfflineMs = 1_500;
/** Of cuts: those that begin as a line on which bytes vanish. */
const silentShare = 0.3;
const longestSilenceMs = 600;

/** The way of one device to the servers, through a port of its own. */
class Edge {
  readonly proxy: Proxy;
  readonly #device: Device;
  readonly #random: () => number;
  readonly #cuts: Cut[];

  constructor(proxy: Proxy, device: Device, seed: number, cuts: Cut[]) {
    this.proxy = proxy;
    this.#device = device;
    // The same for all devices of one number.
    this.#random = seededRandom(seed + device.number * 7_919);
    this.#cuts = cuts;
  }

  async torment(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const [waitMs, isSilent, silence, offline] = [
          nextArrivalMs(this.#random, 1_000 / meanBetweenMs),
          this.#random() < silentShare,
          this.#random(),
          this.#random(),
        ];
        await delay(waitMs, undefined, { signal });
        await this.cut(isSilent ? silence * longestSilenceMs : 0, offline * longestOfflineMs, signal);
      }
    } catch {
      // A line that had fallen silent would stay so.
      this.proxy.let('refuse');
      this.proxy.let('pass');
    }
  }

  async cut(silentMs: number, offlineMs: number, signal?: AbortSignal): Promise<void> {
    if (silentMs > 0) {
      this.proxy.let('swallow');
      await delay(silentMs, undefined, { signal });
    }
    if (this.proxy.connections > 0)
      this.#cuts.push({
        device: this.#device.index,
        at: Date.now(),
        silentMs: Math.round(silentMs),
        offlineMs: Math.round(offlineMs),
      });
    this.proxy.let('refuse');
    await delay(offlineMs, undefined, { signal });
    this.proxy.let('pass');
  }
}

/** All bad networks of a run. */
export class Edges {
  readonly cuts: Cut[] = [];
  readonly #edges = new Map<number, Edge>();
  #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  /** @param portsOf the servers of a kind of device; each connection goes to the next one. */
  async open(devices: readonly Device[], portsOf: (device: Device) => readonly number[], seed: number): Promise<void> {
    for (const device of devices) {
      let turn = device.number;
      const ports = portsOf(device);
      const proxy = await Proxy.listen(() => ports[(turn += 1) % ports.length] ?? 0);
      this.#edges.set(device.index, new Edge(proxy, device, seed, this.cuts));
    }
  }

  urlOf({ index }: Device): string {
    return `http://127.0.0.1:${this.#edge(index).proxy.port}`;
  }

  torment(): void {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.#running = Promise.all([...this.#edges.values()].map((edge) => edge.torment(signal)));
  }

  async calm(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async cut({ index }: Device): Promise<void> {
    await this.#edge(index).cut(0, 0);
  }

  async close(): Promise<void> {
    await this.calm();
    await Promise.all([...this.#edges.values()].map(({ proxy }) => proxy.close()));
  }

  #edge(index: number): Edge {
    const edge = this.#edges.get(index);
    if (edge === undefined) throw new Error(`device ${index} has no way in`);
    return edge;
  }
}
