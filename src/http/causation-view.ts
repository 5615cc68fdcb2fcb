import type { SynapEvent } from '../events/synap-event.js';
import type { EventNotification, NotificationQueries } from '../realtime/log/notification-queries.js';

/** Events as the causation view shows them: each with what its jobs told the user, and what became of that. */
export async function withNotifications<Event extends SynapEvent>(
  notifications: Pick<NotificationQueries, 'ofEvents'>,
  events: readonly Event[],
): Promise<(Event & { readonly notifications: readonly EventNotification[] })[]> {
  const said = await notifications.ofEvents(events);
  return events.map((event) => ({ ...event, notifications: said.get(event.id) ?? [] }));
}
