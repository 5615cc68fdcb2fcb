/** What a question asks for, as far as single words tell. */
export interface Search {
  /** Lower case, at most eight, in the order of the question. */
  readonly keywords: readonly string[];
  readonly wantsNotes: boolean;
  readonly wantsTasks: boolean;
}

const noteWords = new Set(['note', 'notes']);
const taskWords = new Set(['task', 'tasks', 'todo', 'todos']);
const stopWords = new Set(
  `a about all am an and any are as at be been but by can could did do does due find for from get give had has have hello hey
  hi how i if in is it its know let list look latest me mean my new newest of on open or our please recent search show so some tell than
  thanks that the their them then there these they thing things this those to up us want was we were what when where which
  who why will with would write wrote you your`.split(/\s+/),
);

const maxKeywords = 8;

export function parseQuestion(text: string): Search {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const telling = words.filter(
    (word) => word.length > 1 && !stopWords.has(word) && !noteWords.has(word) && !taskWords.has(word),
  );
  return {
    keywords: [...new Set(telling.map(stem))].slice(0, maxKeywords),
    wantsNotes: words.some((word) => noteWords.has(word)),
    wantsTasks: words.some((word) => taskWords.has(word)),
  };
}

/** Words are looked for inside of words, so that cutting the plural finds both: `meetings`, `meeting`. */
const stem = (word: string): string => (word.length > 3 && /[^s]s$/.test(word) ? word.slice(0, -1) : word);
