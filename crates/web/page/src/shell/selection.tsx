// What a selected stretch comes to: totals, means and peaks, and who used most of it.
import { useSignal } from '@preact/signals';
import type { Frame, Line, Panel } from '../api.ts';
import { columnName } from '../charts/columns.tsx';
import { useFetched } from '../charts/fetch.ts';
import { amount, duration, totalUnit } from '../numbers.ts';
import { selection, setView, shownRuns, source, zoneName } from '../state.ts';
import type { Shown } from '../state.ts';
import { clock } from '../time.ts';
import { Icon } from '../ui/ui.tsx';

interface Answer { shown: Shown; cards: Frame; top: { panel: Panel; lines: Line[] }[] }

/** Of whom the most are named. */
const NAMED = 5;

export function Selection() {
  const { value, error } = useFetched<Answer[]>(() => {
    const stretch = selection.value;
    const runs = shownRuns.value;
    if (!stretch || runs.length === 0) return null;
    const at = source.value;
    return (abort) => Promise.all(runs.map(async (shown): Promise<Answer> => {
      const bySubject = shown.run.panels.filter(({ specs, style, shown: usual }) => usual && style === 'stack' && specs.length === 1 && specs[0]!.by === true).slice(0, 2);
      const asked = [...shown.run.cards.map(({ spec }) => spec), ...bySubject.map(({ specs }) => ({ ...specs[0]!, top: NAMED }))];
      // Figures are of all rows of the stretch, however few points are asked for.
      const cards = await at.frame(shown.id, { from: stretch.from - shown.offset, to: stretch.to - shown.offset, buckets: 2, specs: asked }, abort);
      return { shown, cards, top: bySubject.map((panel, place) => ({ panel, lines: cards.lines.filter(({ spec, kind }) => spec === shown.run.cards.length + place && kind === 'subject') })) };
    }));
  }, [], 120);
  const wide = useSignal(true);
  const stretch = selection.value;
  if (!stretch) return null;
  return (
    <section class="selection" aria-label="What is selected">
      <div class="selection-head">
        <h2>{clock(stretch.from, zoneName.value)} – {clock(stretch.to, zoneName.value)} <span class="soft">{duration((stretch.to - stretch.from) / 1000)}</span></h2>
        <button type="button" class="small" onClick={() => {
          setView(stretch);
          selection.value = null;
        }}><Icon name="search" size={12} /> Zoom to it</button>
        <button type="button" class="small quiet" aria-expanded={wide.value} onClick={() => (wide.value = !wide.value)}>{wide.value ? 'Less' : 'More'}</button>
        <button type="button" class="small quiet icon" aria-label="Clear the selection" title="Clear (Esc)" onClick={() => (selection.value = null)}><Icon name="close" size={12} /></button>
      </div>
      {error.value && <p class="wrong">{error.value}</p>}
      {wide.value && value.value?.map((answer, place, { length }) => <Figures key={answer.shown.id} answer={answer} name={length > 1 ? columnName(answer.shown, place) : ''} />)}
    </section>
  );
}

function Figures({ answer: { shown, cards, top }, name }: { answer: Answer; name: string }) {
  return (
    <div class="selection-body" data-run={shown.id}>
      <table class="figures">
        <thead><tr><th>{name && <b>{name}</b>}</th><th class="number">mean</th><th class="number">95 % below</th><th class="number">peak</th><th class="number">total</th></tr></thead>
        <tbody>
          {shown.run.cards.map(({ title }, at) => {
            const line = cards.lines.find(({ spec }) => spec === at);
            if (!line) return null;
            const { mean, p95, peak, peakAt, total } = line.summary;
            return (
              <tr key={title}>
                <th scope="row">{title}</th>
                <td class="number">{amount(mean, line.unit)}</td>
                <td class="number">{amount(p95, line.unit)}</td>
                <td class="number" title={peakAt == null ? undefined : `at ${clock(peakAt + shown.offset, zoneName.value)}`}>{amount(peak, line.unit)}</td>
                <td class="number">{amount(total, totalUnit(line.unit))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {top.map(({ panel, lines }) => lines.length > 0 && (
        <table key={panel.id} class="figures">
          <thead><tr><th>{panel.title}</th><th class="number">mean</th><th class="number">peak</th><th class="number">total</th></tr></thead>
          <tbody>
            {lines.map(({ label, summary, unit }) => (
              <tr key={label}><th scope="row">{label}</th><td class="number">{amount(summary.mean, unit)}</td><td class="number">{amount(summary.peak, unit)}</td><td class="number">{amount(summary.total, totalUnit(unit))}</td></tr>
            ))}
          </tbody>
        </table>
      ))}
    </div>
  );
}
