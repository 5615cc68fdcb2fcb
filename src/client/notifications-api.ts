import type { Http } from './http.js';
import type { NotificationPage, NotificationsApi } from './types.js';

export function createNotificationsApi(http: Http): NotificationsApi {
  return {
    list(options = {}) {
      const given = Object.entries(options).map(([name, value]): [string, string] => [name, String(value)]);
      const query = new URLSearchParams(given.filter(([, value]) => value !== 'undefined')).toString();
      return http.json<NotificationPage>(`/v1/notifications${query === '' ? '' : `?${query}`}`);
    },
    markSeen: (what) =>
      http.json('/v1/notifications/seen', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(what),
      }),
  };
}
