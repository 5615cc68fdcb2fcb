import { randomUUID } from 'node:crypto';
import { Option, type Command } from 'commander';
import type { WireNotification } from '../../realtime/contract.js';
import { CliError } from '../cli-error.js';
import { parseDuration, showDuration } from '../durations.js';
import { postEvent, type Accepted, type OutgoingEvent } from '../http.js';
import { Live } from '../live.js';
import { tokenFor, type Who } from '../settings.js';
import { WaitView } from '../wait-view.js';
import { outputOf, settingsOf, type CommandContext } from './context.js';
import { readJson } from './json-argument.js';

interface Options extends Who {
  readonly requestId?: string;
  readonly priority?: string;
  readonly delay?: number;
  readonly wait?: boolean;
  readonly timeout: number;
}

/** The event ended as a failure; anything else that goes wrong is 1. */
const exitFailed = 2;

export function addSend(program: Command, context: CommandContext): void {
  program
    .command('send')
    .summary('post an event')
    .description('Posts an event. With --wait it listens first, posts then, and shows every stage until the end.')
    .argument('<type>', 'the event type, such as note.creation.requested')
    .argument('<json>', 'its data as JSON; @FILE reads a file, - reads standard input')
    .option('--user <id>', 'sign in as this user (default: "demo" in development)')
    .option('--token <token>', 'sign in with this token instead')
    .option('--request-id <id>', 'your own id for this operation (default: a new UUID)')
    .addOption(new Option('--priority <level>', 'how urgent it is').choices(['high', 'normal', 'low']))
    .option('--delay <time>', 'run it later: 30s, 5m, 1h', parseDuration)
    .option('--wait', 'wait for the end and show the way there')
    .option('--timeout <time>', 'how long to wait for it', parseDuration, 60_000)
    .addHelpText(
      'after',
      `
Exit codes with --wait: 0 completed, 2 failed, 1 anything else (refused, unreachable, timeout).

Examples:
  $ synap send note.creation.requested '{"title":"Hello","content":"My first note."}' --wait
  $ synap send conversation.message.sent '{"content":"What did I write?"}' --user ada --wait
  $ synap send task.creation.requested @task.json --delay 10m --priority low
  $ echo '{"name":"Garden"}' | synap send project.creation.requested - --json`,
    )
    .action(async (type: string, json: string, options: Options, command: Command) => {
      const { url, ...settings } = await settingsOf(context, command);
      const token = await tokenFor({ url, ...settings }, options);
      const event: OutgoingEvent = {
        type,
        data: await readJson(json, context),
        requestId: options.requestId ?? randomUUID(),
        ...(options.priority !== undefined && { priority: options.priority }),
        ...(options.delay !== undefined && { delayMs: options.delay }),
      };
      if (options.wait === true)
        return sendAndWait(context, command, { url, token, event, timeoutMs: options.timeout });
      const sentAt = performance.now();
      const accepted = await postEvent(url, token, event);
      outputOf(context, command).print(accepted, acceptedText(accepted, performance.now() - sentAt));
    });
}

function acceptedText({ eventId, requestId, aggregateId }: Accepted, tookMs: number): string {
  return `accepted in ${showDuration(tookMs)}\n  event      ${eventId}\n  request    ${requestId}\n  aggregate  ${aggregateId}`;
}

interface Sending {
  readonly url: string;
  readonly token: string;
  readonly event: OutgoingEvent;
  readonly timeoutMs: number;
}

async function sendAndWait(
  context: CommandContext,
  command: Command,
  { url, token, event, timeoutMs }: Sending,
): Promise<void> {
  const view = new WaitView(context.terminal, outputOf(context, command));
  const end = Promise.withResolvers<WireNotification>();
  const ends = new Map<string | undefined, WireNotification>();
  let eventId: string | undefined;
  // What the event causes may end in the same room, and it may end before the 202 is here. A broadcast is of no event.
  const check = (): void => {
    const own = eventId === undefined ? undefined : ends.get(eventId);
    if (own !== undefined) end.resolve(own);
  };
  const live = await Live.connect({
    url,
    token,
    onNotification: (notification) => {
      view.notification(notification);
      if (notification.status !== 'pending') ends.set(notification.eventId, notification);
      check();
    },
    onProgress: (progress) => view.progress(progress),
    onDelta: (delta) => view.delta(delta),
    onConnection: (isConnected) => view.connection(isConnected),
    onEnd: end.reject,
  });
  const giveUp = setTimeout(() => end.reject(late(event, timeoutMs)), timeoutMs);
  const onAbort = () => end.reject(new CliError('interrupted', 'Stopped waiting.', goesOn(event)));
  context.signal.addEventListener('abort', onAbort);
  // Whoever refuses first is told of; the other promise must not be left unhandled.
  end.promise.catch(() => undefined);
  try {
    await live.subscribe(`request_${event.requestId}`, 'beginning');
    const accepted = await postEvent(url, token, event);
    view.accepted(accepted);
    eventId = accepted.eventId;
    check();
    const { status } = await end.promise;
    if (status === 'error') context.exit(exitFailed);
  } finally {
    clearTimeout(giveUp);
    context.signal.removeEventListener('abort', onAbort);
    live.close();
  }
}

function late(event: OutgoingEvent, timeoutMs: number): CliError {
  return new CliError('timeout', `No end within ${showDuration(timeoutMs)}.`, goesOn(event));
}

const goesOn = ({ requestId }: OutgoingEvent): string =>
  `It goes on without you: synap tail --room request_${requestId}, or GET /v1/requests/${requestId}.`;
