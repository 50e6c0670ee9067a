//! What is shown of a recording, alike for the page, paper and the terminal: which panels there are, thinned lines, the processes of a moment.
//!
//! A [`View`] is an opened recording of any state. It says which [`Panel`]s suit it; a panel's [`Spec`]s and a [`Window`] give [`Lines`], a few numbers
//! for each pixel, however long the recording. Nothing here knows of a screen.

mod asked;
mod clock;
mod columns;
pub mod curve;
mod error;
mod fine;
mod grid;
pub mod human;
mod lines;
mod moment;
mod panels;
mod pyramid;
mod rows;
mod spec;
pub mod text;
mod ticks;
mod view;
mod wide;

pub use error::Error;
pub use moment::{Identity, Life};
pub use spec::{Card, Gap, Key, Kind, Limit, Line, Lines, Panel, Points, ProcessRow, Spec, Style, Summary, Unit, Window};
pub use view::View;
