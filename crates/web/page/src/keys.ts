// The keyboard: each part of the page says which keys it takes, and the help (?) lists them all.
import { signal } from '@preact/signals';

export interface Shortcut {
  /** As in KeyboardEvent.key; letters in lower case. */
  keys: string[];
  /** What they do, in a few words. */
  says: string;
  group: 'Time' | 'Look' | 'Events' | 'Processes';
  act(event: KeyboardEvent): void;
}

export const shortcuts = signal<readonly Shortcut[]>([]);

/** Adds shortcuts until the answer is called. */
export function bind(...added: Shortcut[]): () => void {
  shortcuts.value = [...shortcuts.peek(), ...added];
  return () => {
    shortcuts.value = shortcuts.peek().filter((shortcut) => !added.includes(shortcut));
  };
}

/** Hears keys of the whole page. What is typed into a field, or into a dialog, stays there. */
export function hear(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || takesKeys(event)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const found = shortcuts.peek().findLast((shortcut) => shortcut.keys.includes(key));
    if (!found) return;
    event.preventDefault();
    found.act(event);
  });
}

function takesKeys(event: KeyboardEvent): boolean {
  // What was focused in a dialog may be disabled by now: then keys come from the page, and Escape would be kept from closing it.
  if (document.querySelector('dialog[open]')) return true;
  const { target } = event;
  if (!(target instanceof Element)) return false;
  if (target.closest('input, select, textarea, [contenteditable], dialog[open]')) return true;
  // Whoever has the focus on a button wants space and the arrows to do what they do there.
  const own = target.closest('button, a[href], summary, [role=slider], [role=tab], [role=treeitem], [role=grid], [role=menuitem], [role=option]');
  return own !== null && [' ', 'Enter', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key);
}
