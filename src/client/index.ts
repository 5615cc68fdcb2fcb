import { io } from 'socket.io-client';
import { createClient } from './client.js';
import type { SynapClient, SynapClientOptions } from './types.js';

export { SynapClientError } from './errors.js';
export type * from './types.js';
export type { Pong, ResetReason, RoomHead, WireDelta, WireNotification, WireProgress } from '../realtime/contract.js';

/**
 * Connects at once and stays connected: what was missed is asked for after each interruption.
 * @example
 * const client = createSynapClient({ url: 'https://synap.example.com', token: () => fetchToken() });
 * const { requestId } = client.send({ type: 'note.creation.requested', data: { title: 'Hello' } });
 * const end = await client.waitFor(requestId);
 */
export function createSynapClient(options: SynapClientOptions): SynapClient {
  return createClient(io, options);
}
