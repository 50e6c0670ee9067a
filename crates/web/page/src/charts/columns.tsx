// Runs side by side: a column for each, of the same width and over the same time, so that cursor, zoom and selection are those of all.
import { Fragment } from 'preact';
import type { ComponentChildren } from 'preact';
import { headOf, letter, shownRuns } from '../state.ts';
import type { Shown } from '../state.ts';
import { Width, columnWidth } from './sheet.ts';

/** What a run is called at the head of its column. */
export const columnName = ({ id, run }: Shown, place: number): string => `${letter(place)} ${(headOf(id)?.name ?? run.name).replace(/\.baro$/, '')}`;

export function Columns({ children }: { children: (shown: Shown, place: number) => ComponentChildren }) {
  return (
    <Width.Provider value={columnWidth}>
      <div class="columns">
        {shownRuns.value.map((shown, place) => (
          <div key={shown.id} class="column" data-column={shown.id}><Fragment>{children(shown, place)}</Fragment></div>
        ))}
      </div>
    </Width.Provider>
  );
}
