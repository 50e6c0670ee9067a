//! The state of the program, and how keys and time change it. Pure: it reads nothing and draws nothing.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::keys::{Action, GROUPS, action};
use crate::table::{Column, Order};
use crate::timetable::Timetable;
use crate::window::Scale;

/// How fast a recording is played.
pub(crate) const SPEEDS: [u32; 7] = [1, 2, 5, 10, 20, 50, 100];

/// The moment that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The last one, whichever that is.
    Follow,
    /// This one: the UTC nanoseconds of a tick.
    At(i64),
}

/// A process: pid and start.
pub(crate) type Identity = (i64, i64);

/// What lies over the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overlay {
    /// The keys, from this line on.
    Help(usize),
    Details(Identity),
}

/// What is asked for in the last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Jump,
    Filter,
}

/// A question and what has been typed so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) question: Question,
    pub(crate) text: String,
    /// What was there before, for who changes his mind.
    before: String,
}

/// What is left to do for whoever owns the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    Redraw,
    Suspend,
    Quit,
}

/// What was on the screen when a key was pressed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shown {
    /// The processes of the table, from above, those out of sight too.
    pub(crate) processes: Vec<Identity>,
    /// How many of them there is room for.
    pub(crate) rows: usize,
    /// How long the time is that the curves show.
    pub(crate) window: i64,
}

/// The moment that words such as `10:20` or `+90s` mean, or why they mean none; the bounds are those of the recording.
pub(crate) type Understand<'a> = &'a dyn Fn(&str, (i64, i64)) -> Result<i64, String>;

/// The state of the program.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct App {
    pub(crate) place: Place,
    /// Where the time is that passes while a recording is played; between two ticks, mostly.
    playing: Option<i64>,
    speed: usize,
    pub(crate) scale: Scale,
    pub(crate) order: Order,
    pub(crate) selected: Option<Identity>,
    /// The first line of the table that is in sight.
    pub(crate) scroll: usize,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) prompt: Option<Prompt>,
    /// What there is to say, until the next key.
    pub(crate) message: Option<String>,
}

impl App {
    /// At the present of what goes on, at the begin of what has ended.
    pub(crate) fn new(times: &Timetable) -> App {
        // Rates are known from the second reading on.
        let begin = times.step(times.first(), 1);
        App {
            place: if times.is_live { Place::Follow } else { Place::At(begin) },
            playing: None,
            speed: 0,
            scale: if times.is_live { Scale::Ticks } else { Scale::Whole },
            order: Order::default(),
            selected: None,
            scroll: 0,
            overlay: None,
            prompt: None,
            message: None,
        }
    }

    /// The tick that is looked at.
    pub(crate) fn cursor(&self, times: &Timetable) -> i64 {
        match self.place {
            Place::Follow => times.last(),
            Place::At(at) => times.tick_at(at),
        }
    }

    /// Whether time passes by itself on a recording.
    pub(crate) fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// How fast.
    pub(crate) fn speed(&self) -> u32 {
        SPEEDS[self.speed]
    }

    /// A key was pressed.
    pub(crate) fn press(&mut self, key: KeyEvent, times: &Timetable, shown: &Shown, understand: Understand<'_>) -> Effect {
        self.message = None;
        if self.prompt.is_some() && !is_control(key) {
            self.type_in(key, times, understand);
            return Effect::Nothing;
        }
        let Some(action) = action(key) else { return Effect::Nothing };
        // What lies over the screen goes with the key that called for it.
        if matches!((self.overlay, action), (Some(Overlay::Help(_)), Action::Help) | (Some(Overlay::Details(_)), Action::Details)) {
            self.overlay = None;
            return Effect::Nothing;
        }
        self.act(action, times, shown)
    }

    fn act(&mut self, action: Action, times: &Timetable, shown: &Shown) -> Effect {
        match action {
            Action::Step(by) => self.step(by, times),
            Action::Leap(tenths) => self.go(self.cursor(times).saturating_add(tenths.saturating_mul(shown.window / 10)), times),
            Action::Begin => self.go(times.first(), times),
            Action::End => self.end(times),
            Action::PlayPause => self.play_or_pause(times),
            Action::Faster => self.speed = (self.speed + 1).min(SPEEDS.len() - 1),
            Action::Slower => self.speed = self.speed.saturating_sub(1),
            Action::Jump => self.ask(Question::Jump),
            Action::NextEvent => self.go_to_event(times.next_event(self.cursor(times)), "nothing is told of the time after this", times),
            Action::PreviousEvent => self.go_to_event(times.previous_event(self.cursor(times)), "nothing is told of the time before this", times),
            Action::ZoomIn => self.scale = self.scale.finer(shown.window, times),
            Action::ZoomOut => self.scale = self.scale.coarser(shown.window, times),
            Action::Whole => self.scale = Scale::Whole,
            Action::Select(by) => match &mut self.overlay {
                Some(Overlay::Help(line)) => {
                    let last = GROUPS.iter().map(|(_, bindings)| bindings.len()).sum::<usize>() - 1;
                    *line = line.saturating_add_signed(by).min(last);
                }
                _ => self.select(by, shown),
            },
            Action::Page(screens) => self.select(screens.saturating_mul(isize::try_from(shown.rows.max(1)).unwrap_or(1)), shown),
            Action::Details => self.overlay = self.selected.or(shown.processes.first().copied()).map(Overlay::Details),
            Action::Tree => self.order.tree = !self.order.tree,
            Action::Filter => self.ask(Question::Filter),
            Action::SortBy(column) => self.sort(column),
            Action::NextSort => self.sort(self.order.by.next()),
            Action::Reverse => self.order.reversed = !self.order.reversed,
            Action::Help => self.overlay = Some(Overlay::Help(0)),
            Action::Close => self.close(),
            Action::Redraw => return Effect::Redraw,
            Action::Suspend => return Effect::Suspend,
            Action::Quit => return Effect::Quit,
        }
        Effect::Nothing
    }

    /// So much time has passed for whoever is watching. Whether the moment that is looked at is another one now.
    pub(crate) fn elapse(&mut self, elapsed: Duration, times: &Timetable) -> bool {
        let Some(now) = self.playing else { return false };
        let before = self.cursor(times);
        let passed = i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX).saturating_mul(self.speed().into());
        let mut there = now.saturating_add(passed);
        // Nobody waits for a time of which nothing is known.
        if let Some(next) = times.after(before).filter(|next| next - before > times.stale && there < *next) {
            there = next;
        }
        self.playing = Some(there);
        self.place = Place::At(times.tick_at(there));
        if there >= times.last() {
            self.playing = None;
            if times.is_live {
                self.place = Place::Follow;
            }
        }
        self.cursor(times) != before
    }

    /// How long until the next tick is to be shown, if it comes by itself.
    pub(crate) fn until_next(&self, times: &Timetable) -> Option<Duration> {
        let now = self.playing?;
        let next = times.after(now).unwrap_or(now);
        let nanos = u64::try_from((next - now).max(0)).unwrap_or(0) / u64::from(self.speed());
        Some(Duration::from_nanos(nanos))
    }

    /// Keeps the chosen process in sight, and the table filled.
    pub(crate) fn keep_in_sight(&mut self, shown: &Shown) {
        let place = self.selected.and_then(|selected| shown.processes.iter().position(|process| *process == selected));
        if let Some(place) = place {
            self.scroll = self.scroll.clamp((place + 1).saturating_sub(shown.rows), place);
        }
        self.scroll = self.scroll.min(shown.processes.len().saturating_sub(shown.rows));
    }

    fn step(&mut self, by: i64, times: &Timetable) {
        let here = self.cursor(times);
        let there = times.step(here, by);
        if there == here && by > 0 {
            self.end(times);
        } else {
            self.go(there, times);
        }
    }

    fn go(&mut self, there: i64, times: &Timetable) {
        let there = times.tick_at(there);
        self.place = Place::At(there);
        self.playing = self.playing.map(|_| there);
    }

    fn end(&mut self, times: &Timetable) {
        self.playing = None;
        self.place = if times.is_live { Place::Follow } else { Place::At(times.last()) };
    }

    fn play_or_pause(&mut self, times: &Timetable) {
        let here = self.cursor(times);
        if self.playing.take().is_some() {
            return;
        }
        match self.place {
            // The screen stands still, and the recording goes on.
            Place::Follow if times.is_live => self.place = Place::At(here),
            // Played once, it is played again.
            _ if here == times.last() && !times.is_live => (self.place, self.playing) = (Place::At(times.first()), Some(times.first())),
            _ => (self.place, self.playing) = (Place::At(here), Some(here)),
        }
    }

    fn go_to_event(&mut self, tick: Option<i64>, why_not: &str, times: &Timetable) {
        match tick {
            Some(tick) => self.go(tick, times),
            None => self.message = Some(why_not.to_owned()),
        }
    }

    fn select(&mut self, by: isize, shown: &Shown) {
        let here = self.selected.and_then(|selected| shown.processes.iter().position(|process| *process == selected));
        let there = match here {
            Some(here) => here.saturating_add_signed(by).min(shown.processes.len().saturating_sub(1)),
            // The first key puts the mark where the eye is.
            None => self.scroll.min(shown.processes.len().saturating_sub(1)),
        };
        self.selected = shown.processes.get(there).copied();
        if let Some(Overlay::Details(_)) = self.overlay {
            self.overlay = self.selected.map(Overlay::Details);
        }
        self.keep_in_sight(shown);
    }

    fn sort(&mut self, column: Column) {
        self.order.reversed = false;
        self.order.by = column;
        self.scroll = 0;
    }

    fn close(&mut self) {
        if self.overlay.take().is_none() && self.selected.take().is_none() {
            self.order.filter.clear();
        }
    }

    fn ask(&mut self, question: Question) {
        let before = if question == Question::Filter { self.order.filter.clone() } else { String::new() };
        self.prompt = Some(Prompt { question, text: before.clone(), before });
    }

    fn type_in(&mut self, key: KeyEvent, times: &Timetable, understand: Understand<'_>) {
        let Some(mut prompt) = self.prompt.take() else { return };
        match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
            (KeyCode::Esc, _) => {
                if prompt.question == Question::Filter {
                    self.order.filter = prompt.before;
                }
                return;
            }
            (KeyCode::Enter, _) => return self.answer(prompt, times, understand),
            (KeyCode::Backspace, _) => drop(prompt.text.pop()),
            (KeyCode::Char('u' | 'w'), true) => prompt.text.clear(),
            (KeyCode::Char(char), false) if !char.is_control() => prompt.text.push(char),
            _ => {}
        }
        if prompt.question == Question::Filter {
            self.order.filter.clone_from(&prompt.text);
            self.scroll = 0;
        }
        self.prompt = Some(prompt);
    }

    fn answer(&mut self, prompt: Prompt, times: &Timetable, understand: Understand<'_>) {
        if prompt.question != Question::Jump || prompt.text.trim().is_empty() {
            return;
        }
        match understand(prompt.text.trim(), (times.first(), times.last())) {
            Ok(at) => {
                self.go(at, times);
                if !(times.first()..=times.last()).contains(&at) {
                    self.message = Some("that time is not in this recording".to_owned());
                }
            }
            Err(why) => {
                self.message = Some(why);
                self.prompt = Some(prompt);
            }
        }
    }
}

/// Keys that mean the same wherever one is.
fn is_control(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'z' | 'l'))
}

#[cfg(test)]
mod tests;
