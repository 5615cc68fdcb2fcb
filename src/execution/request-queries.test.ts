import { expect, test } from '@jest/globals';
import { combineStatus } from './request-queries.js';
import type { RequestStatus } from './requests.js';

test.each<[RequestStatus[], RequestStatus]>([
  [['pending'], 'pending'],
  [['pending', 'completed'], 'processing'],
  [['processing'], 'processing'],
  [['completed'], 'completed'],
  [['completed', 'failed'], 'failed'],
  [['failed', 'processing'], 'processing'],
  [['cancelled', 'completed'], 'cancelled'],
  [['cancelled', 'failed'], 'failed'],
])('a request of jobs that are %j is %s', (jobs, status) => {
  expect(combineStatus(jobs)).toBe(status);
});
