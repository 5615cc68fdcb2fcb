import { useState, type SubmitEvent } from 'react';
import { useRequest, useSend } from 'synap/react';
import { reasonOf } from './api.js';
import { fieldOf, mountExample, useSession } from './example-page.js';
import { NoteCard, UploadForm, UploadTrack, type Phase } from './note-parts.js';

/** What this page itself knows of an upload; the rest comes from the request. */
interface Upload {
  readonly requestId: string;
  readonly file?: File;
  readonly title: string;
  readonly tags: readonly string[];
  /** Of the file's bytes, 0 to 1. */
  readonly sent: number;
  readonly fileId?: string;
  readonly failure?: string;
}

function chosenIn(form: HTMLFormElement): { readonly file: File | undefined; readonly tags: readonly string[] } {
  const file = new FormData(form).get('file');
  const tags = fieldOf(form, 'tags').split(',');
  return {
    file: file instanceof File && file.name !== '' ? file : undefined,
    tags: tags.map((tag) => tag.trim()).filter(Boolean),
  };
}

/** A file becomes a note: idle → uploading → completed or failed. */
function NoteUploader() {
  const session = useSession();
  const send = useSend();
  const [upload, setUpload] = useState(uploadFromAddress);
  const request = useRequest(upload?.requestId);

  async function start(file: File, tags: readonly string[], fileId?: string): Promise<void> {
    // The id is made first: the page listens to the request before anything of it is posted.
    const requestId = crypto.randomUUID();
    const change = (changes: Partial<Upload>) =>
      setUpload((now) => (now?.requestId === requestId ? { ...now, ...changes } : now));
    const title = file.name.replace(/\.[^.]+$/, '');
    setUpload({ requestId, file, title, tags, sent: fileId === undefined ? 0 : 1 });
    try {
      const id = fileId ?? (await session.upload(file, (sent) => change({ sent })));
      change({ fileId: id, sent: 1 });
      const { accepted } = send({ type: 'note.creation.requested', requestId, data: { title, tags, fileId: id } });
      // After a reload the page finds its way back to this request.
      history.replaceState(null, '', `?request=${requestId}`);
      await accepted;
    } catch (thrown) {
      change({ failure: reasonOf(thrown) });
    }
  }

  function reset(): void {
    history.replaceState(null, '', location.pathname);
    setUpload(undefined);
  }

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault();
    const { file, tags } = chosenIn(event.currentTarget);
    if (file !== undefined) void start(file, tags);
  }

  if (upload === undefined) return <UploadForm onSubmit={submit} />;
  const isCancelled = request?.status === 'cancelled';
  const failure = upload.failure ?? request?.error?.message ?? (isCancelled ? 'This was cancelled.' : undefined);
  const phase: Phase = failure !== undefined ? 'failed' : request?.status === 'completed' ? 'completed' : 'uploading';
  const { file, tags, fileId } = upload;
  return (
    <>
      <UploadTrack
        phase={phase}
        title={upload.title}
        // The bytes are half of the way, the note the other half.
        percent={phase === 'completed' ? 100 : upload.sent * 50 + (request?.percent ?? 0) / 2}
        message={failure ?? (upload.sent < 1 ? 'Uploading the file' : (request?.message ?? 'Making the note'))}
        onRetry={file && (() => void start(file, tags, fileId))}
        onReset={reset}
      />
      {phase === 'completed' && <NoteCard data={request?.result} onOpen={session.open} />}
    </>
  );
}

function uploadFromAddress(): Upload | undefined {
  const requestId = new URLSearchParams(location.search).get('request');
  return requestId === null ? undefined : { requestId, title: 'Your note', tags: [], sent: 1 };
}

mountExample('Note uploader', <NoteUploader />);
