import { useEffect, useRef, useState, type SubmitEvent, type KeyboardEvent } from 'react';
import { useNotifications, useRequest, useSend } from 'synap/react';
import { threadOf, turnsOf, type Turn } from './chat-turns.js';
import { mountExample } from './example-page.js';

/**
 * The conversation is what the user's notifications tell: after a reload, in another tab, over an interruption. What is being
 * answered is followed by its request, from its first word.
 */
function Chat() {
  const { items, isLoading, hasMore, loadMore } = useNotifications({ limit: 50 });
  const send = useSend();
  const [asked, setAsked] = useState<Turn>();
  const [isNew, setNew] = useState(false);
  const turns = turnsOf(items, asked);
  const last = isNew ? undefined : turns.at(-1);
  const [answeredId, setAnswered] = useState<string>();
  const isBusy = last !== undefined && !isOver(last) && last.requestId !== answeredId;

  function ask(question: string): void {
    const requestId = crypto.randomUUID();
    // Shown before anything is sent.
    setAsked({ requestId, question });
    setNew(false);
    const data = last?.threadId === undefined ? { content: question } : { threadId: last.threadId, content: question };
    // A refusal is shown by the request itself.
    send({ type: 'conversation.message.sent', requestId, data }).accepted.catch(() => undefined);
  }

  return (
    <>
      <div className="chat-head">
        {hasMore && (
          <button className="quiet" type="button" onClick={() => void loadMore()}>
            Earlier messages
          </button>
        )}
        <button className="quiet" type="button" disabled={isBusy || last === undefined} onClick={() => setNew(true)}>
          New conversation
        </button>
      </div>
      <div className="card chat-card">
        <Messages>
          {threadOf(turns, last).map((turn) => (
            <TurnView key={turn.requestId} turn={turn} onOver={setAnswered} onRetry={() => ask(turn.question)} />
          ))}
          {last === undefined && <Empty isLoading={isLoading} />}
        </Messages>
        <Composer isBusy={isBusy} onAsk={ask} />
      </div>
    </>
  );
}

const isOver = ({ answer, failure }: Turn): boolean => answer !== undefined || failure !== undefined;

interface TurnViewProps {
  readonly turn: Turn;
  readonly onOver: (requestId: string) => void;
  readonly onRetry: () => void;
}

function TurnView({ turn, onOver, onRetry }: TurnViewProps) {
  const { requestId, question } = turn;
  // Only what is not over is followed; what is stored needs nothing.
  const request = useRequest(isOver(turn) ? undefined : requestId);
  const isCancelled = request?.status === 'cancelled';
  const failure = turn.failure ?? request?.error?.message ?? (isCancelled ? 'This was cancelled.' : undefined);
  const stored = turn.answer ?? (request?.result as { response?: string } | undefined)?.response;
  const state = failure !== undefined ? 'failed' : stored === undefined ? 'streaming' : 'stored';
  useEffect(() => {
    if (state !== 'streaming') onOver(requestId);
  }, [state, requestId, onOver]);
  return (
    <>
      <li className="message user">
        <div className="message-text">{question}</div>
        {request?.status === 'sending' && <span className="message-note">Sending</span>}
      </li>
      <li className="message assistant" data-state={state} data-request={requestId} aria-busy={state === 'streaming'}>
        <div className="message-text">{failure ?? stored ?? request?.text}</div>
        {state === 'failed' && (
          <button className="quiet" type="button" onClick={onRetry}>
            Ask again
          </button>
        )}
      </li>
    </>
  );
}

/** Keeps the newest in sight, unless the reader has scrolled up. */
function Messages({ children }: { children: React.ReactNode }) {
  const list = useRef<HTMLOListElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (isAtEnd.current) list.current?.scrollTo({ top: list.current.scrollHeight });
  });
  return (
    <ol
      ref={list}
      className="messages"
      role="log"
      aria-live="polite"
      aria-label="Messages"
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 48;
      }}
    >
      {children}
    </ol>
  );
}

function Empty({ isLoading }: { isLoading: boolean }) {
  return (
    <li className="empty">
      <strong>{isLoading ? 'Loading' : 'Nothing asked yet'}</strong>
      {!isLoading && 'Ask about your notes and tasks.'}
    </li>
  );
}

function Composer({ isBusy, onAsk }: { isBusy: boolean; onAsk: (question: string) => void }) {
  const [text, setText] = useState('');
  const submit = (event: SubmitEvent | KeyboardEvent) => {
    event.preventDefault();
    if (isBusy || text.trim() === '') return;
    onAsk(text.trim());
    setText('');
  };
  return (
    <form className="composer" aria-label="Ask" aria-busy={isBusy} onSubmit={submit}>
      <textarea
        aria-label="Message"
        rows={1}
        placeholder="Ask about your notes"
        value={text}
        onChange={({ target }) => setText(target.value)}
        onKeyDown={(event) =>
          event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing && submit(event)
        }
      />
      <button className="primary" type="submit" aria-disabled={isBusy}>
        Send
      </button>
    </form>
  );
}

mountExample('Chat', <Chat />);
