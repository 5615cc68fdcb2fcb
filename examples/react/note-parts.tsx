import { useState, type SubmitEvent } from 'react';

export type Phase = 'uploading' | 'completed' | 'failed';

const phases: Readonly<Record<Phase, string>> = { uploading: 'Uploading', completed: 'Completed', failed: 'Failed' };

export function UploadForm({ onSubmit }: { onSubmit: (event: SubmitEvent<HTMLFormElement>) => void }) {
  const [name, setName] = useState('');
  const [isOver, setOver] = useState(false);
  return (
    <form className="card" aria-label="New note" data-phase="idle" onSubmit={onSubmit}>
      <div className="field">
        <label
          className={`drop${isOver ? ' over' : ''}`}
          onDragOver={() => setOver(true)}
          onDragLeave={() => setOver(false)}
          onDrop={() => setOver(false)}
        >
          <span className="drop-text">
            {name === '' ? (
              <>
                <strong>Choose a file</strong> or drop it here
              </>
            ) : (
              <strong>{name}</strong>
            )}
          </span>
          <span className="quiet-text">Text becomes the note, anything else is attached to it</span>
          <input
            type="file"
            name="file"
            aria-label="File"
            required
            onChange={({ target }) => setName(target.files?.[0]?.name ?? '')}
          />
        </label>
      </div>
      <div className="field tags-field">
        <label htmlFor="tags">Tags</label>
        <input id="tags" name="tags" autoComplete="off" placeholder="research, reading" />
      </div>
      <div className="actions">
        <button className="primary" type="submit">
          Upload
        </button>
      </div>
    </form>
  );
}

interface UploadTrackProps {
  readonly phase: Phase;
  readonly title: string;
  readonly percent: number;
  readonly message: string;
  /** Not where the file is not there any more, as after a reload. */
  readonly onRetry: (() => void) | undefined;
  readonly onReset: () => void;
}

export function UploadTrack({ phase, title, percent, message, onRetry, onReset }: UploadTrackProps) {
  return (
    <section className="card upload" aria-label="Upload" data-phase={phase}>
      <div className="upload-head">
        <h2>{title}</h2>
        <span className="phase" role="status">
          {phases[phase]}
        </span>
      </div>
      <progress max={100} value={percent} aria-label="Progress" />
      <div className="upload-foot">
        <p role={phase === 'failed' ? 'alert' : undefined}>{phase === 'completed' ? 'The note is saved.' : message}</p>
        <span className="took">{Math.round(percent)} %</span>
      </div>
      {phase !== 'uploading' && (
        <div className="actions">
          <button className="quiet" type="button" onClick={onReset}>
            {phase === 'failed' ? 'Choose another file' : 'Upload another file'}
          </button>
          {phase === 'failed' && onRetry && (
            <button className="primary" type="button" onClick={onRetry}>
              Try again
            </button>
          )}
        </div>
      )}
    </section>
  );
}

/** `data` of `note.creation.completed`. */
interface NoteData {
  readonly title: string;
  readonly tags: readonly string[];
  readonly fileUrl: string;
  readonly filePath: string;
  readonly excerpt?: string;
  readonly createdAt: string;
}

export function NoteCard({ data, onOpen }: { data: unknown; onOpen: (url: string, name: string) => Promise<void> }) {
  const note = data as NoteData;
  const name = note.title + (/\.\w+$/.exec(note.filePath)?.[0] ?? '');
  return (
    <article className="card note arriving" aria-label="Note">
      <h2>{note.title}</h2>
      {note.excerpt !== undefined && note.excerpt !== '' && <p className="excerpt">{note.excerpt}</p>}
      <p className="meta">
        <time dateTime={note.createdAt}>{new Date(note.createdAt).toLocaleString()}</time>
        {note.tags.map((tag) => (
          <span className="tag" key={tag}>
            {tag}
          </span>
        ))}
        <a
          href={note.fileUrl}
          onClick={(event) => {
            // The file belongs to its user: it is fetched with the token.
            event.preventDefault();
            void onOpen(note.fileUrl, name);
          }}
        >
          Download
        </a>
      </p>
    </article>
  );
}
