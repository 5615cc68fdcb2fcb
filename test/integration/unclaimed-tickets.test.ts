import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { UnclaimedTickets } from '../../src/dispatch/unclaimed-tickets.js';
import { ticketId } from '../../src/queues/ticket.js';
import type { Core, QueueMode } from '../support/core.js';
import { generationsOf, partsOf, probeQueue } from '../support/dispatch.js';
import { ManualClock } from '../support/manual-clock.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';
import { eventually } from '../support/signals.js';

afterEach(() => stopProbes());

/** As a worker does whose connection breaks before the answer: the queue has given the ticket out, and nobody has it. */
async function giveOut({ backend }: Core, jobId: string): Promise<void> {
  const queue = backend.queue(probeQueue);
  Object.assign(queue.opts, { lockDuration: 15_000 });
  const [, id] = await queue.getBackend().moveToActive('nobody:0', 'nobody');
  expect(id).toBe(ticketId(jobId, 1));
}

async function accept({ acceptor, fastPath }: Core, count: number): Promise<string[]> {
  const accepted = await Promise.all(Array.from({ length: count }, (_, n) => acceptor.accept('ada', ask(n))));
  await fastPath.drain();
  return accepted.map(({ eventId }) => eventId);
}

describe.each<QueueMode>(['postgres', 'redis'])('tickets in hand (%s)', (mode) => {
  test('a ticket that is given out and claimed by nobody is dispatched again within seconds, and its job runs once', async () => {
    const ran: number[] = [];
    const core = await startProbe(mode, async ({ event }) => void ran.push(event.data.n));
    const [id = ''] = await accept(core, 1);
    await giveOut(core, id);
    const clock = new ManualClock();
    const watch = new UnclaimedTickets({ ...partsOf(core), clock });
    await watch.runOnce();
    await clock.advance(2_000);
    await watch.runOnce();
    expect(await generationsOf(core)).toEqual({ [id]: 1 });
    await clock.advance(1_000);
    await watch.runOnce();
    expect(await generationsOf(core)).toEqual({ [id]: 2 });
    await core.start();
    await eventually(async () => (ran.length > 0 ? true : undefined), 'the job to run');
    expect(ran).toEqual([0]);
  });

  test('what a worker runs is left alone however long it takes, and is asked about once', async () => {
    const release = Promise.withResolvers<void>();
    const running = Promise.withResolvers<void>();
    const core = await startProbe(mode, async () => {
      running.resolve();
      await release.promise;
    });
    const [id = ''] = await accept(core, 1);
    await core.start();
    await running.promise;
    const clock = new ManualClock();
    const asking = jest.spyOn(core.database.pool, 'query');
    const watch = new UnclaimedTickets({ ...partsOf(core), clock });
    for (let round = 0; round < 10; round += 1) {
      await watch.runOnce();
      await clock.advance(1_000);
    }
    release.resolve();
    expect(await generationsOf(core)).toEqual({ [id]: 1 });
    const questions = asking.mock.calls.filter(([query]) => JSON.stringify(query).includes('jobs-unclaimed'));
    expect(questions).toHaveLength(1);
  });

  test('a ticket that is claimed between two looks is left alone', async () => {
    const core = await startProbe(mode, async () => undefined);
    const [id = ''] = await accept(core, 1);
    await giveOut(core, id);
    const clock = new ManualClock();
    const watch = new UnclaimedTickets({ ...partsOf(core), clock });
    await watch.runOnce();
    await clock.advance(2_000);
    await watch.runOnce();
    await core.testDatabase.pool.query(`UPDATE jobs SET state = 'running'`);
    await clock.advance(1_000);
    await watch.runOnce();
    await watch.runOnce();
    expect(await generationsOf(core)).toEqual({ [id]: 1 });
  });
});
