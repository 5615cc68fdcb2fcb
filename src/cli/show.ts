import type { WireNotification } from '../realtime/contract.js';
import type { Style } from './terminal.js';

const marks = { success: 'good', error: 'bad', pending: 'wait' } as const;
const typeWidth = 34;

/** `14:03:22  success  note.creation.completed  Hello` */
export function notificationLine(notification: WireNotification, style: Style): string {
  const { status, type, timestamp, error, data, requestId } = notification;
  const about = error?.message ?? summaryOf(data);
  const columns = [
    style.faint(new Date(timestamp).toTimeString().slice(0, 8)),
    style[marks[status]](status.padEnd(7)),
    type.padEnd(typeWidth),
    status === 'error' ? style.bad(about) : about,
    requestId === undefined ? '' : style.faint(requestId),
  ];
  return columns.filter((column) => column !== '').join('  ');
}

const telling = ['title', 'name', 'response', 'content', 'reason', 'message'];
const longest = 60;

/** The first part of the data that a person would recognise it by. */
function summaryOf(data: WireNotification['data']): string {
  if (typeof data !== 'object' || data === null) return '';
  const fields = new Map<string, unknown>(Object.entries(data));
  const text = telling.map((name) => fields.get(name)).find((value) => typeof value === 'string' && value !== '');
  return typeof text === 'string' ? shorten(text.replace(/\s+/g, ' ')) : '';
}

export const shorten = (text: string, max = longest): string =>
  text.length > max ? `${text.slice(0, max - 1)}…` : text;
