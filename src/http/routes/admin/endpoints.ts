import type { AdminDeps } from '../../deps.js';
import type { Endpoint } from '../../endpoint.js';
import { bulkDiscard, bulkReplay } from './bulk.js';
import { discardDeadLetter, putPayload, replayDeadLetter, runJobNow } from './dead-letter-acts.js';
import { getDeadLetter, getDeadLetterGroups, getDeadLetters } from './dead-letters.js';
import { deleteOperation, getOperation, getOperations } from './operations.js';
import { getQueue, getQueues, putQueue } from './queues.js';

/** Everything for operators. Words come before `:jobId`, because paths are tried in order. */
export function adminEndpoints(deps: AdminDeps): Endpoint[] {
  return [
    getDeadLetters(deps),
    getDeadLetterGroups(deps),
    bulkReplay(deps),
    bulkDiscard(deps),
    getDeadLetter(deps),
    putPayload(deps),
    replayDeadLetter(deps),
    discardDeadLetter(deps),
    runJobNow(deps),
    getOperations(deps),
    getOperation(deps),
    deleteOperation(deps),
    getQueues(deps),
    getQueue(deps),
    putQueue(deps),
  ];
}
