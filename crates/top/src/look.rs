//! How things look: in colours where there may be some, and readable without them. Only the sixteen colours that have names are used, which everybody's terminal
//! makes fit its background, and text is in the terminal's own colour.

use ratatui::style::{Color, Modifier, Style};

/// What is drawn in a colour of its own. A thing keeps it wherever it is drawn.
const COLOURS: [Color; 4] = [Color::Green, Color::Blue, Color::Magenta, Color::Cyan];

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Whether there are.
    pub(crate) colours: bool,
}

impl Look {
    fn ink(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// What is less important.
    pub(crate) fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What is looked for first.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is chosen.
    pub(crate) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What went well, or goes on.
    pub(crate) fn good(self) -> Style {
        self.ink(Color::Green)
    }

    /// What to know of.
    pub(crate) fn notice(self) -> Style {
        self.ink(Color::Magenta)
    }

    /// What went wrong, or is used up. Nothing else is red.
    pub(crate) fn bad(self) -> Style {
        self.ink(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// The area below a curve, by its place among the curves.
    pub(crate) fn area(self, place: usize) -> Style {
        self.ink(COLOURS[place % COLOURS.len()])
    }

    /// A span, by its name.
    pub(crate) fn span(self, name: &str) -> Style {
        // FNV-1a, so that a name has the same colour in every run.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.ink(COLOURS[(hash >> 32) as usize % COLOURS.len()]).add_modifier(Modifier::REVERSED)
    }
}
