//! The terminal, lent to us: taken over when we begin, and given back as it was however we end.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{self, Event};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::Error;

/// Whether it is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What comes from outside.
#[derive(Debug)]
pub(crate) enum Input {
    /// A key, or another size.
    Event(Event),
    /// Somebody wants us to end, to stop, or to go on.
    Signal(i32),
    /// Nobody is at the terminal any more.
    HungUp,
}

/// The terminal while it is ours.
pub(crate) struct Terminal {
    drawn: ratatui::Terminal<CrosstermBackend<io::Stdout>>,
    inputs: Receiver<Input>,
}

impl Terminal {
    /// Takes it over, if there is one.
    pub(crate) fn take() -> Result<Terminal, Error> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Error::NoTerminal);
        }
        let inputs = listen().map_err(Error::Terminal)?;
        give_back_at_panic();
        enter().map_err(Error::Terminal)?;
        let drawn = ratatui::Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| leave()).map_err(Error::Terminal)?;
        Ok(Terminal { drawn, inputs })
    }

    /// What is drawn on.
    pub(crate) fn drawn(&mut self) -> &mut ratatui::Terminal<CrosstermBackend<io::Stdout>> {
        &mut self.drawn
    }

    /// Keys, sizes and signals, as they come.
    pub(crate) fn inputs(&self) -> &Receiver<Input> {
        &self.inputs
    }

    /// Whether it is ours. It is not after a thread has panicked.
    pub(crate) fn is_ours(&self) -> bool {
        TAKEN.load(Ordering::Acquire)
    }

    /// Does what a terminal in its ordinary state does at Ctrl-Z: stops whoever is in the foreground. We are among them, and hear of it as a signal.
    pub(crate) fn ask_to_stop(&self) {
        // Who may not signal his own group goes on.
        let _ = kill_current_process_group(Signal::TSTP);
    }

    /// Gives the terminal back and stops, until somebody continues us.
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        leave();
        let _ = kill_process(getpid(), Signal::STOP);
        self.go_on()
    }

    /// Draws everything anew at the next picture, whatever is there now.
    pub(crate) fn forget(&mut self) -> Result<(), Error> {
        // Not `clear`, which asks the terminal where its cursor is, and waits for an answer that the thread of the keys would get.
        let size = self.drawn.size().map_err(Error::Terminal)?;
        self.drawn.resize(Rect::new(0, 0, size.width, size.height)).map_err(Error::Terminal)
    }

    /// Takes the terminal again, which somebody else may have used meanwhile.
    pub(crate) fn go_on(&mut self) -> Result<(), Error> {
        // Whatever we think of its state is not true any more.
        leave();
        enter().map_err(Error::Terminal)?;
        self.forget()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        leave();
    }
}

/// Ends by this signal, as if we had never heard it, so that whoever waits for us sees what ended us.
pub fn end_by(signal: i32) {
    // Should that not be possible, an ordinary end has to do.
    let _ = emulate_default_handler(signal);
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::Release);
    execute!(io::stdout(), EnterAlternateScreen, Hide).inspect_err(|_| leave())
}

/// Gives it back, once. What fails, fails because nobody is there.
fn leave() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = io::stdout().flush();
        let _ = disable_raw_mode();
    }
}

/// A panic of any thread gives the terminal back before it says what it has to say: else nobody could read that.
fn give_back_at_panic() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        leave();
        before(info);
    }));
}

/// Hears keys and signals, each on a thread of its own, which end with the process.
fn listen() -> io::Result<Receiver<Input>> {
    let (sender, receiver) = channel();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT])?;
    let of_signals = sender.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in &mut signals {
            if of_signals.send(Input::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    thread::Builder::new().name("keys".to_owned()).spawn(move || {
        loop {
            let input = event::read().map_or(Input::HungUp, Input::Event);
            let ends = matches!(input, Input::HungUp);
            if sender.send(input).is_err() || ends {
                return;
            }
        }
    })?;
    Ok(receiver)
}
