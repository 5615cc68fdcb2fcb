import type { AcknowledgeRequest } from './contract.js';

/** What devices say of the notifications that they have got (and their users have seen). */
export interface Acknowledgements {
  /** Of a room (an inside key) that is the speaker's own. Written later; it may be lost with the process. */
  note(room: string, request: AcknowledgeRequest): void;
}
