import type { Clock, Random } from '../../platform/clock.js';
import { cutConnection, endConnection, endSocket, hasEnded, socketsByConnection } from './ending.js';
import type { RealtimeConnection, RealtimeIo } from '../io.js';
import { SocketError } from './socket-error.js';

export interface DrainDeps {
  readonly io: RealtimeIo;
  /** The longest that it may take; 0: nobody is waited for. */
  readonly drainMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Between batches. */
const everyMs = 50;
/** A handful of clients is no crowd, and nobody has to wait for them. */
const perConnectionMs = 10;
/** Of the time, what is kept for the answers of the last ones. */
const graceMs = 500;

/**
 * Ends all connections, a few at a time: their clients come back elsewhere, and if they all came at once they would be a crowd at
 * the replicas that are left, just when there is one less. Which ones go, and how many at a time, is chance.
 */
export async function drainConnections({ io, drainMs, clock, random }: DrainDeps): Promise<void> {
  if (drainMs === 0) return;
  const ending: RealtimeConnection[] = [];
  const startedAt = clock.now();
  const windowMs = Math.min(drainMs - graceMs, openConnections(io).length * perConnectionMs);
  const endsAt = startedAt + windowMs;
  // Read anew each time: who was let in just before may still be on the way.
  for (let open = openConnections(io); open.length > 0; open = openConnections(io)) {
    const batch = shuffled(open, random).slice(0, shareOf(open.length, (endsAt - clock.now()) / everyMs, random));
    endAll(io, batch, clock);
    ending.push(...batch);
    await rest(everyMs, clock);
  }
  await untilEnded(ending, startedAt + drainMs, clock);
}

/** Half to one and a half times an equal share of the rounds that are left; whatever there is in the last one. */
function shareOf(count: number, roundsLeft: number, random: Random): number {
  return roundsLeft < 1 ? count : Math.ceil((count / roundsLeft) * (0.5 + random()));
}

function endAll(io: RealtimeIo, connections: readonly RealtimeConnection[], clock: Clock): void {
  const draining = new SocketError('draining', 'This server is about to stop: connect again');
  const sockets = socketsByConnection(io);
  for (const connection of connections) {
    const socket = sockets.get(connection);
    if (socket === undefined) endConnection(connection, clock);
    else endSocket(socket, draining, clock);
  }
}

/** Who does not answer is cut after a moment (`endConnection`), and whoever is left at the end. */
async function untilEnded(connections: readonly RealtimeConnection[], until: number, clock: Clock): Promise<void> {
  const isOver = () => connections.every(hasEnded) || clock.now() >= until;
  while (!isOver()) await rest(everyMs, clock);
  for (const connection of connections) if (!hasEnded(connection)) cutConnection(connection);
}

function openConnections(io: RealtimeIo): RealtimeConnection[] {
  const { clients } = io.engine as unknown as { readonly clients: Readonly<Record<string, RealtimeConnection>> };
  return Object.values(clients).filter(({ readyState }) => readyState === 'open');
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

const rest = (ms: number, clock: Clock): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
