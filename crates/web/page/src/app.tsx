// The page from top to bottom: each part is a room of its own, and they know each other only by the signals in state.ts.
import { Fragment } from 'preact';
import { Charts } from './charts/charts.tsx';
import { ControlBar, StartHere } from './control/index.tsx';
import { Lanes } from './events/index.tsx';
import { Moment } from './moment/index.tsx';
import { Runs } from './runs/index.tsx';
import { Cards } from './shell/cards.tsx';
import { Header } from './shell/header.tsx';
import { Help } from './shell/help.tsx';
import { Overview } from './shell/overview.tsx';
import { Ruler } from './shell/ruler.tsx';
import { Selection } from './shell/selection.tsx';
import { Nothing, Notices } from './shell/states.tsx';
import { failure, refused, run, runId } from './state.ts';

export function App() {
  const id = runId.value;
  const nothing = failure.value !== null || id === null || (run.value === null && refused.value.has(id));
  return (
    <Fragment>
      <a class="skip" href="#charts">Skip to the charts</a>
      <Header>
        <ControlBar />
      </Header>
      <main>
        <Notices />
        {nothing ? (
          <Nothing />
        ) : (
          <Fragment>
            <StartHere />
            <Runs />
            <Cards />
            <div class="timed">
              <Ruler />
              <Lanes />
              <Charts />
            </div>
            <Moment />
          </Fragment>
        )}
      </main>
      {!nothing && (
        <footer class="shelf">
          <Selection />
          <Overview />
        </footer>
      )}
      <Help />
    </Fragment>
  );
}
