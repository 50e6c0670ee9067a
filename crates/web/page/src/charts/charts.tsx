// The charts, one below the other on one time axis; which there are and in which order is the person's choice.
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Panel } from '../api.ts';
import { bind } from '../keys.ts';
import { panelChoice, panels, run, sideBySide } from '../state.ts';
import { Dialog, Icon } from '../ui/ui.tsx';
import { Columns, columnName } from './columns.tsx';
import { Chart } from './panel.tsx';
import { signal } from '@preact/signals';

/** Whether charts are being chosen. */
export const choosing = signal(false);

const shownIds = (): string[] => panels.peek().map(({ id }) => id);

function choose(shown: string[], hidden: string[] = panelChoice.peek()?.hidden ?? []): void {
  panelChoice.value = { shown, hidden: hidden.filter((id) => !shown.includes(id)) };
}

const add = (id: string): void => choose([...shownIds(), id]);
const remove = (id: string): void => choose(shownIds().filter((other) => other !== id), [...(panelChoice.peek()?.hidden ?? []), id]);

/** Moves a panel to a place among those that are shown. */
function move(id: string, to: number): void {
  const rest = shownIds().filter((other) => other !== id);
  rest.splice(Math.max(0, Math.min(rest.length, to)), 0, id);
  choose(rest);
}

export function Charts() {
  const dragged = useSignal<string | null>(null);
  const over = useSignal<string | null>(null);
  useEffect(() => bind({ keys: ['c'], says: 'choose charts', group: 'Look', act: () => (choosing.value = true) }), []);
  const drop = (target: string): void => {
    if (dragged.peek() && dragged.peek() !== target) move(dragged.peek()!, shownIds().indexOf(target));
    dragged.value = null;
    over.value = null;
  };
  const shown = panels.value;
  return (
    <section id="charts" class="charts" aria-label="Charts" tabIndex={-1}>
      {shown.map((panel, at) => (
        <div
          key={panel.id}
          class={`panel-place${over.value === panel.id ? ' over' : ''}${dragged.value === panel.id ? ' dragged' : ''}`}
          onDragOver={(event) => {
            if (!dragged.peek()) return;
            event.preventDefault();
            over.value = panel.id;
          }}
          onDrop={(event) => {
            event.preventDefault();
            drop(panel.id);
          }}
        >
          <OneOrColumns
            panel={panel}
            tools={
              <span class="tools">
                <button
                  type="button"
                  class="quiet icon grip"
                  draggable
                  title="Drag to move; or the arrow keys"
                  aria-label={`Move ${panel.title}: up and down with the arrow keys`}
                  onDragStart={(event) => {
                    dragged.value = panel.id;
                    event.dataTransfer?.setData('text/plain', panel.title);
                  }}
                  onDragEnd={() => {
                    dragged.value = null;
                    over.value = null;
                  }}
                  onKeyDown={(event) => {
                    const by = event.key === 'ArrowUp' ? -1 : event.key === 'ArrowDown' ? 1 : 0;
                    if (by === 0) return;
                    event.preventDefault();
                    move(panel.id, at + by);
                    const button = event.currentTarget;
                    requestAnimationFrame(() => button.focus());
                  }}
                >
                  <Icon name="grip" />
                </button>
                <button type="button" class="quiet icon" title="Take away" aria-label={`Take ${panel.title} away`} onClick={() => remove(panel.id)}>
                  <Icon name="close" />
                </button>
              </span>
            }
          />
        </div>
      ))}
      {run.value && (
        <p class="charts-more">
          <button type="button" onClick={() => (choosing.value = true)}>
            <Icon name="plus" /> {shown.length === 0 ? 'Choose charts' : 'Add charts'}
          </button>
        </p>
      )}
      {choosing.value && <Chooser />}
    </section>
  );
}

/** A chart of all runs, or side by side one of each, of the run's own limits and by one scale. */
function OneOrColumns({ panel, tools }: { panel: Panel; tools: preact.ComponentChildren }) {
  const extents = useSignal<ReadonlyMap<string, [number, number]>>(new Map());
  if (!sideBySide.value) return <Chart panel={panel} tools={tools} />;
  return (
    <section class="panel" aria-label={panel.title}>
      <h3 class="chart-title" title={panel.help}><span class="chart-name">{panel.title}</span>{tools}</h3>
      <Columns>{(shown, place) => <Chart panel={shown.run.panels.find(({ id }) => id === panel.id) ?? { ...panel, limits: [] }} column={{ id: shown.id, name: columnName(shown, place), extents }} />}</Columns>
    </section>
  );
}

function Chooser() {
  const text = useSignal('');
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const all = run.value?.panels ?? [];
  const shown = new Set(panels.value.map(({ id }) => id));
  const groups = useComputed(() => {
    const needles = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (panel: Panel): boolean => {
      const hay = `${panel.title} ${panel.id} ${panel.help} ${panel.specs.map((spec) => `${spec.table} ${spec.plus.join(' ')} ${spec.label ?? ''}`).join(' ')}`.toLowerCase();
      return needles.every((needle) => hay.includes(needle));
    };
    const found = new Map<string, Panel[]>();
    for (const panel of run.value?.panels ?? []) {
      if (!fits(panel)) continue;
      const group = panel.shown ? 'Usual charts' : panel.specs[0]?.table ?? 'More';
      found.set(group, [...(found.get(group) ?? []), panel]);
    }
    return found;
  });
  return (
    <Dialog title="Charts" wide onClose={() => (choosing.value = false)}>
      <div class="chooser-head">
        <input ref={field} type="search" placeholder={`Search ${all.length} charts by name, metric or help`} aria-label="Search charts" value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        <button type="button" disabled={panelChoice.value === null} onClick={() => (panelChoice.value = null)}>
          <Icon name="reset" /> Usual ones
        </button>
      </div>
      <div class="chooser">
        {[...groups.value].map(([group, found]) => (
          <fieldset key={group}>
            <legend>{group.replaceAll('_', ' ')}</legend>
            {found.map((panel) => (
              <label key={panel.id} class="chooser-row">
                <input type="checkbox" checked={shown.has(panel.id)} onChange={(event) => (event.currentTarget.checked ? add : remove)(panel.id)} />
                <span class="chooser-title">{panel.title}</span>
                <span class="chooser-help">{panel.help}</span>
              </label>
            ))}
          </fieldset>
        ))}
        {groups.value.size === 0 && <p class="empty">No chart of this run has these words.</p>}
      </div>
    </Dialog>
  );
}
