// Small parts that all rooms use: dialogs, menus, icons, a row that is aligned with the charts.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Surface } from '../charts/surface.tsx';
import type { SurfaceProps } from '../charts/surface.tsx';

/** A dialog that is open as long as it is rendered. Escape and a click beside it close it. */
export function Dialog({ title, onClose, children, wide = false }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current!;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    // A dialog that has a field begins there; else nothing in it looks as if it were chosen.
    if (!dialog.querySelector(':scope input:focus, :scope textarea:focus, :scope select:focus')) dialog.focus();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={wide ? 'dialog wide' : 'dialog'}
      tabIndex={-1}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      <div class="dialog-body">
        <div class="dialog-head">
          <h2 id={heading}>{title}</h2>
          <button type="button" class="quiet icon" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </div>
        {children}
      </div>
    </dialog>
  );
}

/** A button that opens a small panel below it. A click elsewhere or Escape closes it. */
export function Menu({ label, title, children, class: name = '' }: { label: ComponentChildren; title: string; children: (close: () => void) => ComponentChildren; class?: string }) {
  const element = useRef<HTMLDetailsElement>(null);
  const close = (): void => {
    const details = element.current;
    if (!details?.open) return;
    details.open = false;
    details.querySelector('summary')?.focus();
  };
  useEffect(() => {
    const abort = new AbortController();
    document.addEventListener('pointerdown', (event) => {
      if (element.current?.open && !element.current.contains(event.target as Node)) element.current.open = false;
    }, { signal: abort.signal });
    return () => abort.abort();
  }, []);
  return (
    <details
      ref={element}
      class={`menu ${name}`}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !element.current?.open) return;
        event.preventDefault();
        event.stopPropagation();
        close();
      }}
    >
      <summary class="button" title={title} aria-label={title}>{label}</summary>
      <div class="menu-body">{children(close)}</div>
    </details>
  );
}

const ICONS = {
  close: 'M4 4l8 8M12 4l-8 8',
  down: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4',
  up: 'M4 10l4-4 4 4',
  plus: 'M8 3v10M3 8h10',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5l3.5 3.5',
  pause: 'M5.5 3v10M10.5 3v10',
  play: 'M5 3l8 5-8 5z',
  stop: 'M4 4h8v8H4z',
  flag: 'M4 14V2.5h8l-2 3 2 3H4',
  camera: 'M2 5h3l1-2h4l1 2h3v8H2zM8 7a2 2 0 1 0 0 4 2 2 0 0 0 0-4z',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z',
  half: 'M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12',
  help: 'M5.5 6a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M8 12.5v.5',
  grip: 'M6 3v.01M10 3v.01M6 8v.01M10 8v.01M6 13v.01M10 13v.01',
  edit: 'M3 13l.7-3L11 2.7 13.3 5 6 12.3z',
  trash: 'M3 4.5h10M6 4V2.5h4V4M4.5 4.5l.5 9h6l.5-9',
  reset: 'M3 8a5 5 0 1 0 1.5-3.5M3 2.5v3h3',
  compare: 'M5 3v10M11 3v10M2 6l3-3 3 3M8 10l3 3 3-3',
  link: 'M6.5 9.5l3-3M7 4.5l1.5-1.5a3 3 0 0 1 4.5 4.5L11.5 9M9 11.5L7.5 13A3 3 0 0 1 3 8.500L4.500 7',
  columns: 'M2.5 3h11v10h-11zM6 3v10M10 3v10',
} as const;

export type IconName = keyof typeof ICONS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}

/** A row that is aligned with the charts: something in the gutter, a surface, and something beside it. */
export function TimeRow({ gutter, side, ...surface }: SurfaceProps & { gutter?: ComponentChildren; side?: ComponentChildren }): JSX.Element {
  return (
    <div class="time-row">
      <div class="gutter">{gutter}</div>
      <Surface {...surface} />
      <div class="side">{side}</div>
    </div>
  );
}
