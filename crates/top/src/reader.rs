//! From a recording to what is on the screen. What has been read once is kept until the recording grows or another time is looked at.

use std::path::Path;

use barograph_model::{Described, Events, Field, Text};
use barograph_store::{Exit, Query, SpanQuery, State, Status};
use barograph_view::text::clean;
use barograph_view::{Card, Panel, ProcessRow, Spec, Style, Unit, View, human};

use crate::Error;
use crate::app::{App, Identity, Overlay, Place};
use crate::scene::{BUCKETS_OF_COLUMN, Bar, Cell, Life, Mark, Meter, Scene, Standing, arrange, cells};
use crate::screen::{Layout, Wanted};
use crate::table;
use crate::timetable::Timetable;
use crate::window::Window;

/// More spans than this are not drawn: nobody could tell them apart.
const MOST_SPANS: usize = 20_000;

/// The panel of swap space, which has no card but a meter where there is any.
const SWAP: &str = "swap";

/// A recording that is looked at.
pub(crate) struct Reader {
    view: View,
    times: Timetable,
    gauges: Vec<Gauge>,
    /// Names of tables and columns when the gauges were chosen.
    schema: Vec<(String, usize)>,
    spans: Vec<Bar>,
    /// How many spans there are beyond those.
    spans_left_out: usize,
    lanes: usize,
    events: Vec<Mark>,
    standing: Standing,
    curves: Kept<(Window, usize), Vec<Vec<Cell>>>,
    numbers: Kept<(i64, usize), Vec<Option<f64>>>,
    processes: Kept<i64, Vec<ProcessRow>>,
    life: Kept<(Identity, Window, i64), Option<Life>>,
}

/// What a meter shows.
#[derive(Clone)]
struct Gauge {
    title: String,
    unit: Unit,
    spec: Spec,
    limit: Option<f64>,
}

/// The last answer, and the question to which it was one.
struct Kept<Q, A>(Option<(Q, A)>);

impl<Q: PartialEq, A: Clone> Kept<Q, A> {
    fn get(&mut self, question: Q, answer: impl FnOnce(&Q) -> Result<A, Error>) -> Result<A, Error> {
        if let Some((_, known)) = self.0.as_ref().filter(|(asked, _)| *asked == question) {
            return Ok(known.clone());
        }
        let new = answer(&question)?;
        self.0 = Some((question, new.clone()));
        Ok(new)
    }
}

impl Reader {
    /// Opens a recording of any state.
    pub(crate) fn open(path: &Path) -> Result<Reader, Error> {
        let mut reader = Reader {
            view: View::open(path)?,
            times: Timetable::default(),
            gauges: Vec::new(),
            schema: Vec::new(),
            spans: Vec::new(),
            spans_left_out: 0,
            lanes: 0,
            events: Vec::new(),
            standing: Standing::Live,
            curves: Kept(None),
            numbers: Kept(None),
            processes: Kept(None),
            life: Kept(None),
        };
        reader.look()?;
        Ok(reader)
    }

    /// Looks whether it has grown or ended. Says whether there is anything new.
    pub(crate) fn refresh(&mut self) -> Result<bool, Error> {
        let is_new = self.view.refresh()?;
        if is_new {
            self.look()?;
        }
        Ok(is_new)
    }

    /// Its moments.
    pub(crate) fn times(&self) -> &Timetable {
        &self.times
    }

    /// Time between two writes: that long a live recording stays as it is.
    pub(crate) fn write_interval_seconds(&self) -> f64 {
        self.view.facts().write_interval_seconds
    }

    /// What wants room on the screen.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted { meters: self.gauges.len(), lanes: self.lanes, events: !self.events.is_empty() }
    }

    /// All that is on the screen.
    pub(crate) fn scene(&mut self, app: &App, layout: &Layout, before: Window) -> Result<Scene, Error> {
        let cursor = app.cursor(&self.times);
        let window = Window::of(app.scale, layout.columns, cursor, app.place == Place::Follow, before, &self.times);
        let facts = self.view.facts();
        let mut scene = Scene {
            title: title(&facts),
            about: about(&facts, self.spans.len(), self.spans_left_out),
            standing: self.standing.clone(),
            cursor,
            begin: self.times.first(),
            end: self.times.last(),
            start: facts.clock.utc_nanos,
            is_fine: facts.interval_seconds < 1.0,
            window,
            spans: self.spans.iter().filter(|bar| bar.from < window.to() && bar.to >= window.from).cloned().collect(),
            events: self.events.clone(),
            ..Scene::default()
        };
        if self.times.ticks.is_empty() {
            return Ok(scene);
        }
        let shown = layout.meters.len().min(self.gauges.len());
        let gauges = &self.gauges[..shown];
        let specs: Vec<Spec> = gauges.iter().map(|gauge| gauge.spec.clone()).collect();
        let curves = self.curves.get((window, shown), |_| curves(&self.view, &specs, window, self.times.stale))?;
        let numbers = self.numbers.get((cursor, shown), |_| numbers(&self.view, &specs, cursor, self.times.stale))?;
        scene.meters = meters(gauges, curves, numbers);
        scene.processes = self.processes.get(cursor, |at| Ok(self.view.processes_at(*at)?))?;
        scene.lines = table::lines(&scene.processes, &app.order);
        scene.totals = table::totals(&scene.processes, &app.order);
        if let Some(Overlay::Details(identity)) = app.overlay {
            let question = (identity, window, cursor);
            scene.life = self.life.get(question, |_| life(&self.view, identity, window, cursor, self.times.stale))?;
        }
        Ok(scene)
    }

    /// Takes in what the view knows now.
    fn look(&mut self) -> Result<(), Error> {
        let facts = self.view.facts();
        let state = self.view.state();
        self.times.ticks = self.view.ticks();
        self.times.is_live = state == State::Live;
        self.times.interval = (facts.interval_seconds.max(0.001) * 1e9) as i64;
        self.times.stale = facts.stale_nanos();
        self.standing = standing(state, &facts);
        (self.curves, self.numbers, self.processes, self.life) = (Kept(None), Kept(None), Kept(None), Kept(None));
        let schema: Vec<(String, usize)> = self.view.tables().into_iter().map(|table| (table.name, table.fields.len())).collect();
        if self.schema != schema {
            self.gauges = gauges(&self.view);
            self.schema = schema;
        }
        self.read_events()?;
        self.read_spans()?;
        let begins = self.spans.iter().map(|bar| bar.from);
        self.times.events = self.events.iter().map(|mark| mark.at).chain(begins).collect();
        self.times.events.sort_unstable();
        Ok(())
    }

    fn read_events(&mut self) -> Result<(), Error> {
        let column = |field: Field<Events, Text>| Events::TABLE.metrics[field.index()].column();
        let [name, detail] = [Events::name, Events::detail].map(column);
        let frame = self.view.timeline().events(&Query::all().columns([&name, &detail])).map_err(barograph_view::Error::from)?;
        let said = frame.texts(&name).into_iter().zip(frame.texts(&detail));
        let times = frame.times().iter().zip(frame.monotonic()).map(|(utc, monotonic)| self.view.shown(*utc, *monotonic));
        let mark = |(at, (name, detail)): (i64, (Option<&str>, Option<&str>))| Mark {
            at,
            name: clean(name.unwrap_or_default()).into_owned(),
            detail: detail.filter(|detail| !detail.is_empty()).map(|detail| clean(detail).into_owned()),
        };
        self.events = times.zip(said).map(mark).collect();
        self.events.sort_by_key(|mark| mark.at);
        Ok(())
    }

    fn read_spans(&mut self) -> Result<(), Error> {
        let spans = self.view.timeline().spans(&SpanQuery::default()).map_err(barograph_view::Error::from)?;
        let shown = |moment: barograph_model::Moment| self.view.shown(moment.utc_nanos, moment.monotonic_nanos);
        let bar = |span: barograph_store::Span<'_>| {
            let from = shown(span.begin);
            let to = span.end.map_or(from, shown).max(from);
            let bar = Bar {
                name: clean(span.name).into_owned(),
                from,
                to,
                lane: 0,
                is_open: span.status == Status::Open,
                has_failed: span.status == Status::Error,
            };
            (span.depth, bar)
        };
        let mut bars: Vec<(u32, Bar)> = spans.iter().take(MOST_SPANS).map(bar).collect();
        self.spans_left_out = spans.len() - bars.len();
        arrange(&mut bars);
        self.spans = bars.into_iter().map(|(_, bar)| bar).collect();
        self.lanes = self.spans.iter().map(|bar| bar.lane + 1).max().unwrap_or(0);
        Ok(())
    }
}

/// The command, the file, or what else is watched.
fn title(facts: &barograph_store::Facts) -> String {
    match (&facts.command, facts.file()) {
        (Some(command), _) if !command.is_empty() => command.iter().map(|word| clean(word)).collect::<Vec<_>>().join(" "),
        (_, Some(file)) => clean(file).into_owned(),
        _ => "the whole machine".to_owned(),
    }
}

/// The host, what there is to be used, and whether more spans are known than are drawn.
fn about(facts: &barograph_store::Facts, spans: usize, left_out: usize) -> Vec<String> {
    let (host, limits) = (&facts.host, &facts.limits);
    let cores = match limits.cores {
        Some(limit) if limit < host.cores as f64 => {
            format!("{} of {}", human::set(format!("{} ", human::cores(limit))).trim_end(), human::plural(host.cores, "core", "cores"))
        }
        _ => human::plural(host.cores, "core", "cores"),
    };
    let memory = match limits.memory_bytes {
        Some(limit) if limit < host.memory_bytes => format!("{} of {}", human::set(human::bytes(limit)), human::bytes(host.memory_bytes)),
        _ => human::bytes(host.memory_bytes),
    };
    let mut about = Vec::new();
    if !host.name.is_empty() {
        about.push(clean(&host.name).into_owned());
    }
    if host.cores > 0 {
        about.push(cores);
    }
    if host.memory_bytes > 0 {
        about.push(memory);
    }
    about.push(format!("every {}", human::set(human::seconds(facts.interval_seconds))));
    if left_out > 0 {
        // Before all else, so that it is seen on the narrowest screen.
        about.insert(0, format!("first {} of {} spans", human::count(spans as f64), human::count((spans + left_out) as f64)));
    }
    about
}

fn standing(state: State, facts: &barograph_store::Facts) -> Standing {
    match (state, &facts.end) {
        (State::Live, _) => Standing::Live,
        (_, Some(end)) => {
            let how = end.exit.map_or_else(|| format!("ended: {}", clean(&end.reason)), human::exit);
            Standing::Ended { well: end.exit.is_none_or(|exit| exit == Exit { code: Some(0), signal: None }), how }
        }
        _ => Standing::Interrupted,
    }
}

/// The meters that suit the recording: its cards, and swap space where there is any.
fn gauges(view: &View) -> Vec<Gauge> {
    let panels = view.panels();
    let limit = |id: &str| panels.iter().find(|panel| panel.id == id).and_then(least_limit);
    let of_card = |card: Card| Gauge { limit: limit(&card.panel), title: card.title, unit: card.unit, spec: card.spec };
    let mut gauges: Vec<Gauge> = view.cards().into_iter().map(of_card).collect();
    let swap = panels.iter().find(|panel| panel.id == SWAP && panel.shown);
    if let Some((panel, spec)) = swap.and_then(|panel| Some((panel, panel.specs.first()?))) {
        let swap = Gauge { title: panel.title.clone(), unit: panel.unit, spec: spec.clone(), limit: least_limit(panel) };
        gauges.insert(gauges.len().min(2), swap);
    }
    // A level across processes or rates is no most there can be.
    for gauge in &mut gauges {
        gauge.limit = gauge.limit.filter(|_| matches!(gauge.unit, Unit::Cores | Unit::Bytes));
    }
    gauges
}

fn least_limit(panel: &Panel) -> Option<f64> {
    panel.limits.iter().map(|limit| limit.value).reduce(f64::min)
}

fn meters(gauges: &[Gauge], curves: Vec<Vec<Cell>>, numbers: Vec<Option<f64>>) -> Vec<Meter> {
    let with = |((gauge, curve), value): ((&Gauge, Vec<Cell>), Option<f64>)| Meter {
        title: gauge.title.clone(),
        unit: gauge.unit,
        value,
        limit: gauge.limit,
        curve,
    };
    gauges.iter().zip(curves).zip(numbers).map(with).collect()
}

/// A curve for each spec.
fn curves(view: &View, specs: &[Spec], window: Window, stale: i64) -> Result<Vec<Vec<Cell>>, Error> {
    let mut curves = vec![vec![Cell::NOTHING; window.columns]; specs.len()];
    let wanted = barograph_view::Window { from: window.from, to: window.to(), buckets: window.columns * BUCKETS_OF_COLUMN };
    for line in view.lines(specs, wanted)?.lines {
        curves[line.spec] = cells(&line.points, window, stale.max(window.step));
    }
    Ok(curves)
}

/// The value of each spec at a tick, as its row has it.
fn numbers(view: &View, specs: &[Spec], at: i64, stale: i64) -> Result<Vec<Option<f64>>, Error> {
    let mut numbers = vec![None; specs.len()];
    // Far more than there are rows in so short a time, so that each is a point.
    let wanted = barograph_view::Window { from: at.saturating_sub(stale), to: at, buckets: 100_000 };
    let millis = at.div_euclid(1_000_000) as f64 + at.rem_euclid(1_000_000) as f64 / 1e6;
    for line in view.lines(specs, wanted)?.lines {
        let before = line.points.x.partition_point(|x| *x <= millis);
        numbers[line.spec] = before.checked_sub(1).and_then(|place| line.points.mean.get(place).copied()).filter(|mean| !mean.is_nan());
    }
    Ok(numbers)
}

/// One process's life; none of one that the recording does not know.
fn life(view: &View, (pid, start): Identity, window: Window, cursor: i64, stale: i64) -> Result<Option<Life>, Error> {
    let Some(life) = view.life(pid, start)? else { return Ok(None) };
    let gauges: Vec<Gauge> = life.panels.iter().flat_map(of_panel).collect();
    let specs: Vec<Spec> = gauges.iter().map(|gauge| gauge.spec.clone()).collect();
    let meters = meters(&gauges, curves(view, &specs, window, stale)?, numbers(view, &specs, cursor, stale)?);
    let last = |of: fn(&barograph_view::Identity) -> &Option<String>| {
        life.identities.iter().rev().find_map(|identity| of(identity).as_deref().filter(|text| !text.is_empty())).map(|text| clean(text).into_owned())
    };
    let mut facts: Vec<(&'static str, String)> = Vec::new();
    let mut add = |name, text: Option<String>| facts.extend(text.map(|text| (name, text)));
    add("command", last(|identity| &identity.command));
    add("program", last(|identity| &identity.executable));
    add("user", last(|identity| &identity.user));
    add("parent", life.identities.iter().rev().find_map(|identity| identity.parent_pid).map(|pid| pid.to_string()));
    add("cgroup", last(|identity| &identity.cgroup));
    add("container", last(|identity| &identity.container));
    let seen = format!("{} to {}", human::since_start(since(view, life.from)), human::since_start(since(view, life.to)));
    add("recorded", Some(format!("{seen}, {}", human::seconds((life.to - life.from) / 1e3))));
    let exit = Exit {
        code: life.exit_code.and_then(|code| i32::try_from(code).ok()),
        signal: life.exit_signal.and_then(|signal| i32::try_from(signal).ok()),
    };
    let gone = life.identities.last().is_some_and(|identity| matches!(identity.change.as_deref(), Some("gone" | "exited")));
    add("end", gone.then(|| human::exit(exit)));
    let name = last(|identity| &identity.name).unwrap_or_else(|| "?".to_owned());
    Ok(Some(Life { title: format!("{name} ({pid})"), facts, meters }))
}

fn since(view: &View, millis: f64) -> f64 {
    (millis * 1e6 - view.facts().clock.utc_nanos as f64) / 1e9
}

/// What a panel of a process says in one or two meters: the sum of what adds up, or else what comes first. Rates of bytes go two ways.
fn of_panel(panel: &Panel) -> Vec<Gauge> {
    let gauge = |title: &str, spec: Spec| Gauge { title: title.to_owned(), unit: panel.unit, spec, limit: None };
    let labelled = |spec: &Spec| gauge(spec.label.as_deref().unwrap_or(&panel.title), spec.clone());
    match (panel.style, panel.unit, panel.specs.first()) {
        (Style::Stack, _, Some(first)) => {
            let plus = panel.specs.iter().flat_map(|spec| spec.plus.clone()).collect();
            vec![gauge(&panel.title, Spec { plus, ..first.clone() })]
        }
        (_, Unit::BytesPerSecond, _) => panel.specs.iter().take(2).map(labelled).collect(),
        (_, Unit::Bytes | Unit::Ratio, Some(first)) => vec![gauge(&panel.title, first.clone())],
        (_, Unit::Count, Some(first)) => vec![labelled(first)],
        _ => Vec::new(),
    }
}
