/** React hooks over `synap/client`: docs/react.md. */
export { SynapProvider, type SynapProviderProps } from './provider.js';
export { useConnectionState } from './use-connection-state.js';
export { useNotifications, type Notifications } from './use-notifications.js';
export { useRequest } from './use-request.js';
export { useSend } from './use-send.js';
export { useSynapRealtime, type SynapRealtime, type SynapRealtimeOptions } from './use-synap-realtime.js';
