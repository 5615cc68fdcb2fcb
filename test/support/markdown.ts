/** A code block of a document that says which file it belongs to: ```ts title=src/x.ts */
export interface TitledBlock {
  readonly language: string;
  readonly file: string;
  readonly text: string;
}

export function titledBlocks(markdown: string): TitledBlock[] {
  return [...markdown.matchAll(/^```(\w+) title=(\S+)\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', file = '', text = '']) => ({
      language,
      file,
      text,
    }),
  );
}

/**
 * Applies a `diff` block: hunks are separated by an empty line; lines begin with a space (kept), `-` (removed) or `+` (added).
 * @throws where the text does not hold what a hunk keeps and removes, exactly once.
 */
export function applyDiff(text: string, diff: string): string {
  return diff
    .trimEnd()
    .split('\n\n')
    .reduce((before, hunk) => {
      const lines = hunk.split('\n');
      const side = (sign: string) =>
        lines.filter((line) => line.startsWith(' ') || line.startsWith(sign)).map((line) => `${line.slice(1)}\n`);
      const old = side('-').join('');
      if (before.split(old).length !== 2)
        throw new Error(`this stands ${before.split(old).length - 1} times in the file:\n${old}`);
      return before.replace(old, () => side('+').join(''));
    }, text);
}
