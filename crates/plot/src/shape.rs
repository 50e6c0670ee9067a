//! A figure as it is drawn: lines, areas and text on a sheet, with no notion of what they mean beyond the part of the figure they belong to.

use crate::colours::Rgb;
use crate::font;

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Area {
    /// Its left edge.
    pub x: f64,
    /// Its upper edge.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

impl Area {
    /// Its right edge.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// Its lower edge.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// Whether the two have a point in common that is more than a touch.
    pub fn overlaps(&self, other: &Area) -> bool {
        const TOUCH: f64 = 0.01;
        self.x + TOUCH < other.right() && other.x + TOUCH < self.right() && self.y + TOUCH < other.bottom() && other.y + TOUCH < self.bottom()
    }

    /// Whether the other lies within it.
    pub fn contains(&self, other: &Area) -> bool {
        const TOUCH: f64 = 0.06;
        other.x + TOUCH >= self.x && other.right() <= self.right() + TOUCH && other.y + TOUCH >= self.y && other.bottom() <= self.bottom() + TOUCH
    }
}

/// The part of a figure that a shape belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What it is.
    Title,
    /// The spans above the panels.
    Spans,
    /// The labels of marks, and the lines from them down to the panels.
    Marks,
    /// What stands around a panel: its title, its ticks.
    Frame(usize),
    /// What is drawn within a panel, and never outside of it.
    Plot(usize),
    /// The legend of a panel.
    Legend(usize),
    /// The axis of time.
    Time,
    /// What is to be known besides.
    Note,
}

/// Where a text stands from its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// It has its middle there.
    Middle,
    /// It ends there.
    End,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Its point.
    pub x: f64,
    /// Its base line.
    pub y: f64,
    /// Where it stands from its point.
    pub anchor: Anchor,
    /// The size of its letters.
    pub size: f64,
    /// Whether they are bold.
    pub bold: bool,
    /// Their colour.
    pub colour: Rgb,
    /// What it says.
    pub content: String,
}

impl Text {
    /// What it covers.
    pub fn area(&self) -> Area {
        let width = font::width(&self.content, self.size, self.bold);
        let x = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - width / 2.0,
            Anchor::End => self.x - width,
        };
        Area { x, y: self.y - self.size * font::ASCENT, width, height: self.size * (font::ASCENT + font::DESCENT) }
    }
}

/// How a line is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Stroke {
    /// Its colour.
    pub colour: Rgb,
    /// Its width.
    pub width: f64,
    /// Lengths of dashes and of the gaps between them; none for a whole line.
    pub dash: &'static [f64],
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A filled rectangle.
    Rect {
        /// Where.
        area: Area,
        /// Its colour.
        fill: Rgb,
        /// How opaque it is.
        opacity: f64,
    },
    /// Lines from point to point, each for itself.
    Lines {
        /// The points.
        lines: Vec<Vec<(f64, f64)>>,
        /// How they are drawn.
        stroke: Stroke,
    },
    /// A filled outline.
    Fill {
        /// Outlines, each for itself.
        outlines: Vec<Vec<(f64, f64)>>,
        /// Its colour.
        fill: Rgb,
        /// How opaque it is.
        opacity: f64,
    },
    /// Text.
    Text(Text),
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its width, in 96ths of an inch.
    pub width: f64,
    /// Its height, in 96ths of an inch.
    pub height: f64,
    /// Width and height as they were asked for, with their unit, where that is not the pixel.
    pub physical: Option<(String, String)>,
    /// What it is drawn on; nothing on paper.
    pub ground: Option<Rgb>,
    /// What it shows, for who can't see it.
    pub title: String,
    /// The same in more words.
    pub description: String,
    /// Where each panel's values are drawn.
    pub plots: Vec<Area>,
    /// What is drawn, the lowest first.
    pub shapes: Vec<(Part, Shape)>,
}
