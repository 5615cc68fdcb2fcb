type Child = Node | string | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element with attributes and children. Text is always text: nothing here ever parses HTML. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

/** A reference to one of the page's sprites. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#${name}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

/** The element of index.html with this id. */
export function find<Kind extends Element>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new TypeError(`index.html has no ${kind.name} #${id}`);
  return element;
}

/** Changes text only where it differs, so that selections and live regions are left in peace. */
export function setText(element: Element | null, text: string): void {
  if (element !== null && element.textContent !== text) element.textContent = text;
}

export interface Row<Item> {
  readonly element: HTMLElement;
  update(item: Item): void;
}

/**
 * Keeps the children of `parent` equal to a list, by key: an element lives as long as its item does, so focus and scrolling
 * survive. `empty` stands there instead where the list has nothing.
 */
export function keyedList<Item>(
  parent: HTMLElement,
  keyOf: (item: Item) => string,
  create: (item: Item) => Row<Item>,
  empty: () => HTMLElement,
): (items: readonly Item[]) => void {
  const rows = new Map<string, Row<Item>>();
  let isFirst = true;
  return (items) => {
    const keys = new Set(items.map(keyOf));
    for (const [key, row] of rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      rows.delete(key);
    }
    parent.querySelector(':scope > .empty')?.remove();
    items.forEach((item, index) => {
      const known = rows.get(keyOf(item));
      const row = known ?? create(item);
      if (known === undefined && !isFirst) markArrival(row.element);
      rows.set(keyOf(item), row);
      row.update(item);
      if (parent.children[index] !== row.element) parent.insertBefore(row.element, parent.children[index] ?? null);
    });
    if (items.length === 0) parent.append(empty());
    isFirst = items.length === 0 && isFirst;
  };
}

/** Once, and not again each time that its section is shown. */
function markArrival(element: HTMLElement): void {
  element.classList.add('arriving');
  element.addEventListener('animationend', () => element.classList.remove('arriving'), { once: true });
}
