import { StrictMode, useRef, useState, type ReactNode } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import {
  SynapProvider,
  useConnectionState,
  useNotifications,
  useRequest,
  useSend,
  useSynapRealtime,
} from '../../../src/client/react/index.js';
import type { Harness, Shown } from './shown.js';

const harness: Harness = {
  seen: {},
  calls: [],
  mount: show,
  unmount: () => {
    root?.unmount();
    root = undefined;
  },
  send: () => '',
  markSeen: () => Promise.resolve(),
  loadMore: () => Promise.resolve(),
};
Object.assign(globalThis, { harness });

let root: Root | undefined;

function show(shown: Shown): void {
  root ??= createRoot(document.body.appendChild(document.createElement('div')));
  const content = <Content shown={shown} />;
  root.render(
    <StrictMode>
      {shown.what === 'realtime' && shown.own === true ? (
        content
      ) : (
        // Another object and another function at each render, as pages write it.
        <SynapProvider options={{ token: () => shown.token, shared: shown.shared ?? false }}>
          <Connection />
          {content}
        </SynapProvider>
      )}
    </StrictMode>,
  );
}

function Content({ shown }: { shown: Shown }): ReactNode {
  if (shown.what === 'realtime') return <Realtime {...shown} />;
  if (shown.what === 'request') return <Request requestId={shown.requestId} />;
  if (shown.what === 'notifications') return <List limit={shown.limit} />;
  return null;
}

function Connection(): ReactNode {
  harness.seen['connection'] = useConnectionState();
  return null;
}

function Realtime({
  userId,
  requestId,
  own,
  token,
  version = 0,
  only,
}: Extract<Shown, { what: 'realtime' }>): ReactNode {
  const note = (name: string) => (value?: unknown) => void harness.calls.push({ name, version, value });
  const realtime = useSynapRealtime({
    userId,
    requestId,
    ...(own === true && { token }),
    ...(only !== undefined && { messageFilter: ({ type }) => type === only }),
    onMessage: note('message'),
    onConnect: note('connect'),
    onDisconnect: note('disconnect'),
    onError: (error) => note('error')(error.message),
  });
  const { sendMessage, ...seen } = realtime;
  harness.seen['realtime'] = { ...seen, error: seen.error?.message ?? null };
  harness.send = (type, data) => sendMessage({ type, data }).requestId;
  return null;
}

function Request({ requestId }: { requestId: string | undefined }): ReactNode {
  const send = useSend();
  const [texts] = useState<string[]>([]);
  const request = useRequest(requestId);
  if (request !== undefined && request.text !== texts.at(-1)) texts.push(request.text);
  harness.seen['request'] = request;
  harness.seen['texts'] = texts;
  harness.send = (type, data) => send({ type, data, ...(requestId !== undefined && { requestId }) }).requestId;
  return null;
}

function List({ limit }: { limit: number }): ReactNode {
  const { markSeen, loadMore, ...seen } = useNotifications({ limit });
  const renders = useRef(0);
  renders.current += 1;
  harness.seen['notifications'] = { ...seen, error: seen.error?.message };
  harness.markSeen = () => markSeen();
  harness.loadMore = loadMore;
  return null;
}
