// The keys and gestures that there are; and the keys that go through time.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { step as pan } from '../charts/sheet.ts';
import { dragSelects } from '../charts/surface.tsx';
import { bind, shortcuts } from '../keys.ts';
import type { Shortcut } from '../keys.ts';
import { cursor, follow, moment, resetView, run, selection, setView, theme, togglePause, view, whole, zoomBy } from '../state.ts';
import { Dialog } from '../ui/ui.tsx';

export const helping = signal(false);

/** Steps the moment by samples, and keeps it in sight. */
function step(samples: number): void {
  const interval = (run.value?.intervalSeconds ?? 1) * 1000;
  const { from, to } = view.value;
  const all = whole.value;
  const now = moment.value ?? cursor.value ?? (samples < 0 ? to : from);
  const at = Math.min(all.to, Math.max(all.from, now + samples * interval));
  moment.value = at;
  if (at < from || at > to) {
    const half = (to - from) / 2;
    setView({ from: at - half, to: at + half });
  }
}

/** Clears the selection, or else the moment. */
function clear(): void {
  if (selection.value) selection.value = null;
  else moment.value = null;
}

const KEYS: Shortcut[] = [
  { keys: ['w'], says: 'zoom in', group: 'Time', act: () => zoomBy(0.5) },
  { keys: ['s'], says: 'zoom out', group: 'Time', act: () => zoomBy(2) },
  { keys: ['a'], says: 'to the left', group: 'Time', act: (event) => pan(-0.25, event.repeat) },
  { keys: ['d'], says: 'to the right', group: 'Time', act: (event) => pan(0.25, event.repeat) },
  { keys: ['0'], says: 'all of it', group: 'Time', act: resetView },
  { keys: ['z'], says: 'zoom to the selection', group: 'Time', act: () => {
    if (selection.value) {
      setView(selection.value);
      selection.value = null;
    }
  } },
  { keys: [' '], says: 'hold still, go on', group: 'Time', act: togglePause },
  { keys: ['f'], says: 'follow what grows', group: 'Time', act: follow },
  { keys: ['ArrowLeft'], says: 'a sample back; with Shift ten', group: 'Time', act: (event) => step(event.shiftKey ? -10 : -1) },
  { keys: ['ArrowRight'], says: 'a sample on; with Shift ten', group: 'Time', act: (event) => step(event.shiftKey ? 10 : 1) },
  { keys: ['Escape'], says: 'clear the selection, then the moment', group: 'Time', act: clear },
  { keys: ['v'], says: 'a drag zooms, or selects', group: 'Look', act: () => (dragSelects.value = !dragSelects.value) },
  { keys: ['l'], says: 'light, dark', group: 'Look', act: () => (theme.value = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark') },
  { keys: ['?'], says: 'this help', group: 'Look', act: () => (helping.value = true) },
];

const GESTURES: [string, string][] = [
  ['click', 'takes the moment: its processes are in the table below'],
  ['drag', 'zooms; with Alt or Ctrl it selects a stretch and says what it comes to'],
  ['Shift drag, one finger', 'moves'],
  ['Ctrl wheel, two fingers', 'zoom at the cursor'],
  ['sideways wheel, Shift wheel', 'move'],
  ['double click', 'all of it again'],
  ['click in a legend', 'shows that line alone; with Ctrl adds it'],
  ['whole run, at the bottom', 'drag the brush or its edges; the wheel zooms'],
];

const KEY_NAMES: Record<string, string> = { ' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc' };

export function Help() {
  useEffect(() => bind(...KEYS), []);
  if (!helping.value) return null;
  const groups = ['Time', 'Events', 'Processes', 'Look'] as const;
  return (
    <Dialog title="Keys and gestures" wide onClose={() => (helping.value = false)}>
      <div class="help">
        {groups.map((group) => {
          const found = shortcuts.value.filter((shortcut) => shortcut.group === group);
          return found.length === 0 ? null : (
            <section key={group}>
              <h3>{group}</h3>
              <dl>
                {found.map(({ keys, says }) => (
                  <div key={keys.join()}>
                    <dt>{keys.map((key) => <kbd key={key}>{KEY_NAMES[key] ?? key.toUpperCase()}</kbd>)}</dt>
                    <dd>{says}</dd>
                  </div>
                ))}
              </dl>
            </section>
          );
        })}
        <section class="gestures">
          <h3>On the charts</h3>
          <dl>
            {GESTURES.map(([gesture, says]) => (
              <div key={gesture}>
                <dt>{gesture}</dt>
                <dd>{says}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </Dialog>
  );
}
