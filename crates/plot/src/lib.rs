//! Recordings on paper: the figures of `barograph plot`, as SVG, PNG and PDF, and in the terminal.
//!
//! [`figure()`] lays out a [`Figure`] of lines, areas and text from what [`barograph_view`] gives; [`Figure::svg`], [`Figure::png`] and [`Figure::pdf`]
//! write it. The same input gives the same bytes.

mod clock;
mod colours;
mod figure;
mod font;
mod marks;
mod panel;
mod pdf;
mod png;
mod scale;
mod shape;
mod size;
mod spans;
mod svg;
mod terminal;

pub use clock::Clock;
pub use colours::{Rgb, Theme};
pub use figure::{Look, Mark, Misfit, Run, Shown, figure, subjects};
pub use shape::{Anchor, Area, Figure, Part, Shape, Stroke, Text};
pub use size::Size;
pub use spans::Slice;
pub use terminal::terminal;

/// A figure could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// There is no such picture.
    #[error("a picture of {0} by {1} pixels is too large; take a smaller --size or --dpi")]
    Large(u32, u32),
    /// PNG.
    #[error("the PNG can't be written: {0}")]
    Png(String),
    /// PDF.
    #[error("the PDF can't be written: {0}")]
    Pdf(String),
}
