import { ApiError } from './api.js';
import { setText } from './dom.js';

/** Values of a form, trimmed; a file field is read from its own element. */
function valuesOf(form: HTMLFormElement): Record<string, string> {
  const entries = [...new FormData(form)].flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value.trim()]] : [],
  );
  return Object.fromEntries(entries) as Record<string, string>;
}

/** Shows a refusal in the form: each fault beside its field, the rest beside the button. */
function showError(form: HTMLFormElement, thrown: unknown): void {
  const faults = thrown instanceof ApiError ? thrown.faults : [];
  const placed = faults.filter(({ path, message }) => markField(form, path, message));
  const text = thrown instanceof Error ? thrown.message : 'Something went wrong on this page.';
  setText(form.querySelector('.form-fault'), faults.length > 0 && placed.length === faults.length ? '' : text);
  form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}

export function clearErrors(form: HTMLFormElement): void {
  setText(form.querySelector('.form-fault'), '');
  for (const field of form.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
  for (const hint of form.querySelectorAll<HTMLElement>('.hint.fault')) {
    hint.classList.remove('fault');
    hint.textContent = hint.dataset['hint'] ?? '';
  }
}

/** `path` is `data.title`, `data.tags.0` and the like: the field is named by its first part below `data`. */
function markField(form: HTMLFormElement, path: string, message: string): boolean {
  const name = path.replace(/^data\./, '').split('.')[0] ?? '';
  const hint = form.querySelector<HTMLElement>(`.hint[data-fault="${CSS.escape(name)}"]`);
  if (hint === null) return false;
  hint.dataset['hint'] ??= hint.textContent;
  hint.textContent = message.replace(/^./, (first) => first.toUpperCase());
  hint.classList.add('fault');
  const field = form.elements.namedItem(name);
  if (field instanceof HTMLElement) field.setAttribute('aria-invalid', 'true');
  return true;
}

/** A fault that the page can see by itself, in the same words and place as the server's. */
export class FormFault extends ApiError {
  constructor(field: string, message: string) {
    super(400, 'validation_failed', message, [{ path: field, message }]);
  }
}

/**
 * Runs `submit` with the form's values, one at a time. What was typed is cleared once the server has accepted it and stays
 * where it was refused.
 */
export function onSubmit(form: HTMLFormElement, submit: (values: Record<string, string>) => Promise<void>): void {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (form.getAttribute('aria-busy') === 'true') return;
    void run(form, submit);
  });
  form.addEventListener('input', () => clearErrors(form));
}

async function run(form: HTMLFormElement, submit: (values: Record<string, string>) => Promise<void>): Promise<void> {
  clearErrors(form);
  form.setAttribute('aria-busy', 'true');
  try {
    await submit(valuesOf(form));
    form.reset();
  } catch (thrown) {
    showError(form, thrown);
  } finally {
    form.removeAttribute('aria-busy');
  }
}
