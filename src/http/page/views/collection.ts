import type { Collection } from '../core/state.js';
import { h, keyedList, type Row } from '../dom.js';

interface CollectionView<Item> {
  readonly list: HTMLElement;
  create(item: Item): Row<Item>;
  /** What stands there while there is nothing: a headline and a sentence that helps. */
  readonly empty: readonly [string, string];
  /** Loads the next older page, or with no cursor the list again. */
  load(cursor?: string): Promise<void>;
}

/** A list with its three other faces (loading, empty, failed) and the way to older items. */
export function collectionView<Item extends { readonly id: string }>(
  view: CollectionView<Item>,
): (collection: Collection<Item>) => void {
  let shown: Collection<Item> | undefined;
  const more = h('button', { type: 'button', class: 'quiet more', hidden: true }, 'Show older');
  more.addEventListener('click', () => void view.load(shown?.nextCursor));
  view.list.after(more);
  const render = keyedList<Item>(
    view.list,
    ({ id }) => id,
    view.create,
    () => placeholder(view, shown),
  );
  return (collection) => {
    if (collection === shown) return;
    shown = collection;
    more.hidden = collection.nextCursor === undefined;
    view.list.setAttribute('aria-busy', String(collection.status === 'loading'));
    render(collection.items);
  };
}

function placeholder<Item>(view: CollectionView<Item>, collection: Collection<Item> | undefined): HTMLElement {
  if (collection === undefined || collection.status === 'loading') {
    return h('li', { class: 'empty skeleton', 'aria-label': 'Loading' }, h('span'), h('span'), h('span'));
  }
  if (collection.status === 'ready') {
    return h('li', { class: 'empty' }, h('strong', {}, view.empty[0]), h('span', {}, view.empty[1]));
  }
  const again = h('button', { type: 'button', class: 'quiet' }, 'Try again');
  again.addEventListener('click', () => void view.load());
  return h('li', { class: 'empty' }, h('strong', {}, 'This list could not be loaded.'), again);
}
