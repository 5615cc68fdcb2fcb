/** Where the CLI writes: results to `out`, everything about them to `err`, so that results can be piped. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly style: Style;
  /** Whether `err` is a screen, where a line can be written over. */
  readonly isScreen: boolean;
}

/** Names of meanings; the text as it is where colours are not wanted. */
export type Style = Readonly<Record<'good' | 'bad' | 'wait' | 'faint' | 'strong', (text: string) => string>>;

const codes = { good: [32, 39], bad: [31, 39], wait: [33, 39], faint: [2, 22], strong: [1, 22] } as const;

function createStyle(hasColour: boolean): Style {
  const paint = (name: keyof typeof codes) => (text: string) => {
    const [on, off] = codes[name];
    return hasColour && text !== '' ? `\u001B[${on}m${text}\u001B[${off}m` : text;
  };
  return {
    good: paint('good'),
    bad: paint('bad'),
    wait: paint('wait'),
    faint: paint('faint'),
    strong: paint('strong'),
  };
}

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Colours on a terminal only, and never where NO_COLOR is set (https://no-color.org). */
export function createTerminal(
  out: Output,
  err: Output,
  environment: Readonly<Record<string, string | undefined>>,
): Terminal {
  const isRefused = (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb';
  return {
    out: (text) => void out.write(text),
    err: (text) => void err.write(text),
    style: createStyle(out.isTTY === true && !isRefused),
    isScreen: err.isTTY === true && environment['TERM'] !== 'dumb',
  };
}
