//! The loop: waits for keys, signals and time, looks whether the recording has grown, and draws what has changed.

use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyEventKind};
use signal_hook::consts::{SIGCONT, SIGTSTP};

use crate::app::{App, Effect, Place, Shown};
use crate::live::Live;
use crate::look::Look;
use crate::reader::Reader;
use crate::scene::Scene;
use crate::screen::{Layout, Screen};
use crate::terminal::{Input, Terminal};
use crate::{Error, Settings};

/// After the time at which something new is due we look again this often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// No more pictures in a second than eyes can follow.
const PICTURE: Duration = Duration::from_millis(40);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody quit.
    Quit,
    /// By this signal.
    Signal(i32),
}

/// Shows it until somebody quits.
pub(crate) fn watch(settings: Settings) -> Result<Ended, Error> {
    // The terminal comes first: without one, nothing is read. It goes last.
    let mut terminal = Terminal::take()?;
    let live = if settings.recording.is_none() { Some(Live::start(settings.interval)?) } else { None };
    let path = settings.recording.as_deref().or(live.as_ref().map(Live::path)).unwrap_or(Path::new(""));
    let reader = Reader::open(path)?;
    let mut app = App::new(reader.times());
    if let Some(words) = &settings.at {
        let times = reader.times();
        app.place = Place::At((settings.understand)(words, (times.first(), times.last())).map_err(Error::Moment)?);
    }
    let mut watch =
        Watch { settings, live, reader, app, scene: Scene::default(), shown: Shown::default(), look_at: Instant::now(), patience: LOOK_AGAIN };
    watch.expect();
    watch.run(&mut terminal)
}

struct Watch {
    settings: Settings,
    /// This machine, if it is what is looked at.
    live: Option<Live>,
    reader: Reader,
    app: App,
    scene: Scene,
    shown: Shown,
    /// When to look whether the recording has grown, and how long to wait after that was in vain.
    look_at: Instant,
    patience: Duration,
}

impl Watch {
    fn run(&mut self, terminal: &mut Terminal) -> Result<Ended, Error> {
        let mut clock = Instant::now();
        let mut is_new = true;
        loop {
            if is_new {
                self.draw(terminal)?;
            }
            let input = match terminal.inputs().recv_timeout(self.patience()) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Input::HungUp),
            };
            if !terminal.is_ours() {
                return Err(Error::Failed);
            }
            is_new = input.is_some();
            let waiting = input.into_iter().chain(terminal.inputs().try_iter().collect::<Vec<_>>());
            for input in waiting.collect::<Vec<_>>() {
                if let Some(ended) = self.heed(input, terminal)? {
                    return Ok(ended);
                }
            }
            let now = Instant::now();
            is_new |= self.app.elapse(now.duration_since(clock), self.reader.times());
            clock = now;
            is_new |= self.look(now);
        }
    }

    /// How long nothing happens by itself.
    fn patience(&self) -> Duration {
        let until_look = self.look_at.saturating_duration_since(Instant::now());
        let until_look = if self.reader.times().is_live { until_look } else { Duration::from_secs(3600) };
        let until_next = self.app.until_next(self.reader.times()).map_or(until_look, |next| next.max(PICTURE));
        until_look.min(until_next)
    }

    fn heed(&mut self, input: Input, terminal: &mut Terminal) -> Result<Option<Ended>, Error> {
        match input {
            Input::Event(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                match self.app.press(key, self.reader.times(), &self.shown, &self.settings.understand) {
                    Effect::Nothing => {}
                    Effect::Redraw => terminal.forget()?,
                    Effect::Suspend => terminal.ask_to_stop(),
                    Effect::Quit => return Ok(Some(Ended::Quit)),
                }
            }
            Input::Event(_) => {}
            Input::Signal(SIGTSTP) => terminal.stop()?,
            Input::Signal(SIGCONT) => terminal.go_on()?,
            Input::Signal(signal) => return Ok(Some(Ended::Signal(signal))),
            Input::HungUp => return Ok(Some(Ended::Quit)),
        }
        Ok(None)
    }

    /// Looks whether there is anything new, if it is time to.
    fn look(&mut self, now: Instant) -> bool {
        if !self.reader.times().is_live || now < self.look_at {
            return false;
        }
        let before = self.reader.times().last();
        let turned = self.live.as_mut().and_then(|live| live.turn(now).then(|| Reader::open(live.path())));
        let refreshed = match turned {
            Some(opened) => opened.map(|reader| {
                self.reader = reader;
                true
            }),
            None => self.reader.refresh(),
        };
        match refreshed {
            Ok(is_new) => {
                if self.reader.times().last() == before {
                    // Late, for whatever reason: we don't ask a slow disk ten times a second for ever.
                    self.patience = (self.patience * 2).min(Duration::from_secs(2));
                    self.look_at = now + self.patience;
                } else {
                    self.expect();
                }
                is_new
            }
            Err(error) => {
                self.app.message = Some(barograph_view::text::clean(&error.to_string()).into_owned());
                self.look_at = now + Duration::from_secs(2);
                true
            }
        }
    }

    /// After something new: the next is due when as much time has passed as between two writes.
    fn expect(&mut self) {
        self.patience = LOOK_AGAIN / 2;
        let wait = Duration::try_from_secs_f64(self.reader.write_interval_seconds()).unwrap_or_default();
        // The last tick lies some time back: by what it takes to read and to write it.
        let now = jiff::Timestamp::now().as_nanosecond();
        let age = u64::try_from(now - i128::from(self.reader.times().last())).unwrap_or(0);
        let due = wait.saturating_sub(Duration::from_nanos(age)).max(LOOK_AGAIN / 2) + LOOK_AGAIN / 2;
        self.look_at = Instant::now() + due;
    }

    fn draw(&mut self, terminal: &mut Terminal) -> Result<(), Error> {
        let size = terminal.drawn().size().map_err(Error::Terminal)?;
        let layout = Layout::of(size.width, size.height, self.reader.wanted());
        if let Some(layout) = &layout {
            self.arrange(layout);
        }
        let look = Look { colours: self.settings.colours };
        terminal
            .drawn()
            .draw(|frame| {
                match layout.as_ref().filter(|layout| (layout.width, layout.height) == (frame.area().width.into(), frame.area().height.into())) {
                    Some(layout) => Screen { app: &self.app, scene: &self.scene, layout, look, zone: &self.settings.zone }.draw(frame.buffer_mut()),
                    None => frame.render_widget("too small", frame.area()),
                }
            })
            .map_err(Error::Terminal)?;
        Ok(())
    }

    /// Makes the scene for this layout. If that fails, the last one stays, and why is told.
    fn arrange(&mut self, layout: &Layout) {
        match self.reader.scene(&self.app, layout, self.scene.window) {
            Ok(scene) => self.scene = scene,
            Err(error) => self.app.message = Some(barograph_view::text::clean(&error.to_string()).into_owned()),
        }
        let identity = |line: &crate::table::Line| self.scene.processes.get(line.place).map(|row| (row.pid, row.start_ticks));
        self.shown =
            Shown { processes: self.scene.lines.iter().filter_map(identity).collect(), rows: layout.table, window: self.scene.window.length() };
        self.app.keep_in_sight(&self.shown);
    }
}
