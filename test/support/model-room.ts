import type { RoomHead, Subscribed, WireNotification } from '../../src/realtime/contract.js';

export const modelTime = '2026-11-22T00:00:00.000Z';

export const numbered = (seq: number, epoch = 'e1'): WireNotification => ({
  ...{ id: `${epoch}-${seq}`, type: 'probe.run.completed', data: {}, status: 'success' },
  ...{ timestamp: modelTime, room: 'user_ada', seq, epoch },
});

export const answered = (seq: number, more: Partial<Subscribed> = {}): Subscribed => ({
  ...{ ok: true, at: modelTime, room: 'user_ada', epoch: 'e1', seq, recovered: true, notifications: [] },
  ...more,
});

/** A server's room as the client sees it: what is committed, the epoch, and how far back it still has it. */
export class ModelRoom {
  readonly log: WireNotification[] = [];
  epoch = 1;
  kept = 0;

  publish(): WireNotification {
    const notification = numbered(this.log.length + 1, `e${this.epoch}`);
    this.log.push(notification);
    return notification;
  }

  /** The room was lost, or made anew: it counts from 1 again. */
  begin(): void {
    this.epoch += 1;
    this.log.length = 0;
    this.kept = 0;
  }

  /** Retention: all but the newest few are gone. */
  forget(left: number): void {
    this.kept = Math.max(this.kept, this.log.length - left);
  }

  get head(): RoomHead {
    return this.log.length === 0 ? { epoch: null, seq: 0 } : { epoch: `e${this.epoch}`, seq: this.log.length };
  }

  answer(since: RoomHead | undefined, pageSize: number): Subscribed {
    const given = { ...answered(this.head.seq), ...this.head };
    if (since === undefined) return { ...given, recovered: false };
    const isSameEpoch = since.epoch === null || since.epoch === this.head.epoch;
    if (!isSameEpoch && this.head.epoch !== null) return { ...given, recovered: false, reset: 'epoch_changed' };
    if (since.seq < this.kept || !isSameEpoch) return { ...given, recovered: false, reset: 'too_old' };
    const page = this.log.slice(since.seq, since.seq + pageSize);
    return { ...given, notifications: page, ...(since.seq + page.length < this.log.length && { hasMore: true }) };
  }
}
