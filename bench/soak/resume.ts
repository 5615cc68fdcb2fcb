import { io } from 'socket.io-client';
import { within } from '../../test/support/signals.ts';

interface Subscribed {
  readonly ok: boolean;
  readonly recovered: boolean;
  readonly seq: number;
  readonly notifications: readonly { readonly seq: number }[];
}

/** Whether a client that was away gets what it missed of a room that was filled and never published here. */
export async function checkResume(options: {
  readonly url: string;
  readonly token: string;
  readonly userId: string;
  readonly epoch: string;
  readonly lastSeq: number;
  readonly missed: number;
}): Promise<void> {
  const { url, token, userId, epoch, lastSeq, missed } = options;
  const socket = io(url, { auth: { token }, transports: ['websocket'], forceNew: true });
  try {
    await within(new Promise((resolve) => socket.once('ready', resolve)), 'a socket to be ready');
    const since = { epoch, seq: lastSeq - missed };
    const answer = (await socket
      .timeout(10_000)
      .emitWithAck('subscribe', { room: `user_${userId}`, since })) as Subscribed;
    const given = answer.notifications.map(({ seq }) => seq);
    const isWhole = answer.recovered && given.slice(0, missed).every((seq, index) => seq === since.seq + index + 1);
    if (!isWhole || given.length < missed)
      throw new Error(
        `a filled room was not resumed: ${JSON.stringify({ since, given: given.length, seq: answer.seq })}`,
      );
  } finally {
    socket.close();
  }
}
