//! A figure of one or several recordings: title, spans, marks, panels with their legends, and one axis of time for all.

use barograph_view::{Kind, Limit, Line, Lines, Panel, Style, Summary};

use crate::clock::Clock;
use crate::colours::{Hues, Ink, Rgb, Theme};
use crate::font;
use crate::marks;
use crate::panel::{Content, Drawn, Hole, Plane, hatch, quiet};
use crate::scale;
use crate::shape::{Anchor, Area, Figure, Part, Shape, Stroke, Text};
use crate::size::Size;
use crate::spans::{self, Slice};

/// A panel with what is to be drawn in it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The panel.
    pub panel: Panel,
    /// Its lines.
    pub lines: Lines,
    /// What the lines of a stack come to together.
    pub total: Option<Summary>,
    /// The sum of a stack's lines, for figures of several runs.
    pub sum: Option<Line>,
}

/// A mark. Times are milliseconds since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When it was.
    pub at: f64,
    /// What it says.
    pub name: String,
}

/// A recording, as far as it is drawn.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is called in legends.
    pub name: String,
    /// Its start, from which times count: UTC milliseconds since 1970.
    pub start: f64,
    /// Its panels.
    pub panels: Vec<Shown>,
    /// Its spans, in the order in which they began.
    pub spans: Vec<Slice>,
    /// Its marks, in the order of time.
    pub marks: Vec<Mark>,
}

/// How a figure is to look.
#[derive(Clone, Debug)]
pub struct Look {
    /// How large.
    pub size: Size,
    /// Its colours.
    pub theme: Theme,
    /// What stands above it.
    pub title: String,
    /// What stands below the title.
    pub subtitle: String,
    /// How times are written.
    pub clock: Clock,
    /// The time that is shown, in milliseconds since the start.
    pub time: (f64, f64),
}

/// The figure does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// There is no room for so many panels.
    #[error("there is room for {room} of {asked} panels at this size; choose panels with --panel, or a larger --size")]
    Panels {
        /// How many panels have room.
        room: usize,
        /// How many there are.
        asked: usize,
    },
    /// There is no room for anything.
    #[error("this size is too small for a figure; it takes at least 40mm by 25mm")]
    Small,
}

const LEAST_PANEL: f64 = 40.0;
/// The height of a panel where nobody says how high the figure is.
const PANEL: f64 = 150.0;
/// Narrower figures have legends below the titles of their panels.
const NARROW: f64 = 460.0;
const DASHES: [&[f64]; 4] = [&[], &[5.0, 2.5], &[1.5, 2.0], &[7.0, 2.0, 1.5, 2.0]];

/// How many subjects of a panel can be told apart at this size: what [`barograph_view::Spec::top`] should be.
pub fn subjects(size: &Size, panels: usize) -> usize {
    let height = size.height().map_or(PANEL, |height| (height - 90.0) / panels.max(1) as f64 - 24.0);
    let row = size.letters() * ROW;
    if size.width() < NARROW { 4 } else { ((height / row) as usize).saturating_sub(2).clamp(2, 9) }
}

const ROW: f64 = 1.36;

/// Draws a figure.
pub fn figure(runs: &[Run], look: &Look) -> Result<Figure, Misfit> {
    let mut drawn = Err(Misfit::Small);
    for generosity in [1.0, 0.6, 0.3, 0.0, -1.0] {
        drawn = Draft::new(runs, look, generosity).draw();
        if drawn.is_ok() {
            break;
        }
    }
    drawn
}

/// Where the columns of legends end, from the panels' right edge on.
#[derive(Clone, Copy, Debug, Default)]
struct Legend {
    width: f64,
    mean: f64,
    peak: f64,
    /// The room for names.
    names: f64,
}

pub(crate) struct Draft<'a> {
    runs: &'a [Run],
    look: &'a Look,
    ink: &'static Ink,
    size: f64,
    /// What may be left of spans, marks and legends where there is little room: 1, or less.
    generosity: f64,
    hues: Hues,
    out: Vec<(Part, Shape)>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(runs: &'a [Run], look: &'a Look, generosity: f64) -> Draft<'a> {
        let mut hues = Hues::default();
        if runs.len() > 1 {
            hues.introduce(runs.iter().map(|run| run.name.as_str()));
        }
        for shown in runs.iter().flat_map(|run| &run.panels) {
            hues.introduce(shown.lines.lines.iter().filter(|line| line.kind != Kind::Others).map(|line| line.label.as_str()));
        }
        let mut names: Vec<&str> = runs.iter().flat_map(|run| run.spans.iter().map(|span| span.name.as_str())).collect();
        names.sort_unstable();
        names.dedup();
        hues.introduce(names.into_iter());
        Draft { runs, look, ink: look.theme.ink(), size: look.size.letters(), generosity, hues, out: Vec::new() }
    }

    pub(crate) fn runs(&self) -> &[Run] {
        self.runs
    }

    pub(crate) fn ink(&self) -> &Ink {
        self.ink
    }

    fn text(&self, x: f64, y: f64, content: impl Into<String>) -> Text {
        Text { x, y, anchor: Anchor::Start, size: self.size, bold: false, colour: self.ink.ink, content: content.into() }
    }

    fn say(&mut self, part: Part, text: Text) {
        if !text.content.is_empty() {
            self.out.push((part, Shape::Text(text)));
        }
    }

    pub(crate) fn contents(&self) -> Vec<Content> {
        let several = self.runs.len() > 1;
        let mut contents: Vec<(String, Content)> = Vec::new();
        for (number, run) in self.runs.iter().enumerate() {
            for shown in &run.panels {
                let place = contents.iter().position(|(id, _)| *id == shown.panel.id).unwrap_or_else(|| {
                    contents.push((shown.panel.id.clone(), Content::new(&shown.panel)));
                    contents.len() - 1
                });
                let content = &mut contents[place].1;
                if several {
                    self.add_run(content, shown, run, number);
                } else {
                    let colour = |line: &Line| if line.kind == Kind::Others { self.ink.others } else { self.hues.of(&line.label, self.ink) };
                    content.lines = shown.lines.lines.iter().map(|line| Drawn::new(line, line.label.clone(), run.start, colour(line))).collect();
                    if content.style == Style::Heat {
                        let mut order: Vec<usize> = (0..content.lines.len()).collect();
                        order.sort_by(|&a, &b| shown.lines.lines[a].key.cmp(&shown.lines.lines[b].key));
                        content.lines = order.into_iter().map(|place| content.lines[place].clone()).collect();
                    }
                    content.total = shown.total;
                    content.gaps = holes(shown, run, None).collect();
                }
            }
        }
        contents.into_iter().map(|(_, content)| content.without_specks()).collect()
    }

    /// Of several runs each is a line in its colour; a stack is its sum.
    fn add_run(&self, content: &mut Content, shown: &Shown, run: &Run, number: usize) {
        let colour = self.hues.of(&run.name, self.ink);
        if content.style != Style::Lines {
            content.style = Style::Lines;
            content.title = content.title.split(" by ").next().unwrap_or_default().to_owned();
        }
        let lines: Vec<&Line> = match &shown.sum {
            Some(sum) => vec![sum],
            None => shown.lines.lines.iter().take(DASHES.len()).collect(),
        };
        let alone = lines.len() == 1;
        content.gaps.extend(holes(shown, run, Some((colour, number))));
        for (place, line) in lines.into_iter().enumerate() {
            let label = if alone { run.name.clone() } else { format!("{} · {}", run.name, line.label) };
            let mut drawn = Drawn::new(line, label, run.start, colour);
            drawn.dash = DASHES[place % DASHES.len()];
            content.lines.push(drawn);
        }
        for limit in &shown.panel.limits {
            if number > 0 && !content.limits.contains(limit) {
                content.limits.push(Limit { label: format!("{} ({})", limit.label, run.name), value: limit.value });
            }
        }
    }

    fn draw(mut self) -> Result<Figure, Misfit> {
        let width = self.look.size.width();
        let size = self.size;
        let pad = (size * 0.9).min(width * 0.03);
        if width < 140.0 || self.look.size.height().is_some_and(|height| height < 90.0) {
            return Err(Misfit::Small);
        }
        let contents = self.contents();
        let is_narrow = width < NARROW;
        let mut y = self.draw_title(pad, width);

        // What stands left and right of the panels decides how wide they are.
        let span_rows = self.span_rows();
        let most_height = self.look.size.height();
        let axes: Vec<_> = contents.iter().map(|content| content.axis(self.ticks_for(contents.len()))).collect();
        let left = self.left(&contents, &axes, pad);
        let legend = if is_narrow { Legend::default() } else { self.legend(&contents, width) };
        let right = legend.width + pad;
        let plot = Area { x: left, y: 0.0, width: (width - left - right).max(20.0), height: 0.0 };

        y = self.draw_spans(&span_rows, plot, y, most_height);
        let mark_labels = self.place_marks(plot, plot.right(), most_height);
        let mark_height = mark_labels.iter().map(|label| label.row + 1).max().unwrap_or(0) as f64 * size * 1.3;

        let foot = size * 2.9;
        let head = size * 1.75;
        let legend_heights: Vec<f64> = contents.iter().map(|content| if is_narrow { self.flow_height(content, plot.width) } else { 0.0 }).collect();
        let around: f64 = contents.len() as f64 * (head + size * 0.35) + legend_heights.iter().sum::<f64>() + mark_height;
        let (height, each) = match most_height {
            Some(height) => (height, (height - y - foot - around) / contents.len().max(1) as f64),
            None => (y + around + foot + contents.len() as f64 * PANEL, PANEL),
        };
        if each < LEAST_PANEL && !contents.is_empty() {
            let one = around / contents.len() as f64 + LEAST_PANEL;
            let room = ((height - y - foot) / one).max(0.0) as usize;
            return Err(if room == 0 { Misfit::Small } else { Misfit::Panels { room, asked: contents.len() } });
        }

        let mut plots = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            let strip = if number == 0 { mark_height } else { 0.0 };
            let area = Area { y: y + head + legend_heights[number] + strip, height: each, ..plot };
            plots.push(area);
            let axis = content.axis(((each / (size * 2.6)) as usize).clamp(2, 6));
            self.draw_panel(number, content, area, &axis, y, legend, width - pad);
            y = area.bottom() + size * 0.35;
        }
        self.draw_marks(&mark_labels, plots.first().map_or(y, |area| area.y - mark_height), plot, &plots);
        self.draw_time(plots.last().copied().unwrap_or(Area { y, ..plot }), pad, width);
        self.out.sort_by_key(|(part, _)| *part);
        let description = self.description(&contents);
        Ok(Figure {
            width,
            height: (height * 100.0).round() / 100.0,
            physical: self.look.size.physical(height),
            ground: (self.look.theme != Theme::Print).then_some(self.ink.ground),
            title: self.look.title.clone(),
            description,
            plots,
            shapes: self.out,
        })
    }

    fn ticks_for(&self, panels: usize) -> usize {
        let each = self.look.size.height().map_or(PANEL, |height| height / panels.max(1) as f64 - 40.0);
        ((each / (self.size * 2.6)) as usize).clamp(2, 6)
    }

    fn x(&self, plot: Area, at: f64) -> f64 {
        let (from, to) = self.look.time;
        plot.x + ((at - from) / (to - from) * plot.width).clamp(0.0, plot.width)
    }

    fn draw_title(&mut self, pad: f64, width: f64) -> f64 {
        let mut y = pad;
        let large = self.size * 1.25;
        let title = font::cut(&self.look.title, width - 2.0 * pad, large, true);
        if !title.is_empty() {
            let text = Text { size: large, bold: true, ..self.text(pad, y + large * 0.9, title) };
            self.say(Part::Title, text);
            y += large * 1.35;
        }
        let subtitle = font::cut(&self.look.subtitle, width - 2.0 * pad, self.size, false);
        if !subtitle.is_empty() {
            let text = Text { colour: self.ink.dim, ..self.text(pad, y + self.size * 0.85, subtitle) };
            self.say(Part::Title, text);
            y += self.size * 1.4;
        }
        y + self.size * 0.4
    }

    fn left(&self, contents: &[Content], axes: &[scale::Axis], pad: f64) -> f64 {
        let ticks =
            axes.iter().zip(contents).filter(|(_, content)| content.style != Style::Heat).flat_map(|(axis, _)| &axis.ticks).map(|(_, text)| text);
        let names = contents.iter().filter(|content| content.style == Style::Heat).flat_map(|content| &content.lines).map(|line| &line.label);
        let runs = self.runs.iter().map(|run| &run.name).filter(|_| self.runs.len() > 1 && self.runs.iter().any(|run| !run.spans.is_empty()));
        let widest = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| font::width(text, self.size, false)).fold(0.0, f64::max);
        let most = self.look.size.width() * 0.16;
        pad + widest(&mut ticks.into_iter()).max(widest(&mut names.chain(runs)).min(most)).max(self.size * 1.6) + 6.0
    }

    // Spans

    /// Slices of all runs and their rows, run after run.
    pub(crate) fn span_rows(&self) -> Vec<(usize, Vec<Slice>, Vec<usize>)> {
        let (from, to) = self.look.time;
        let several = self.runs.len() > 1;
        let mut all = Vec::new();
        for (number, run) in self.runs.iter().enumerate() {
            // Of several runs the outermost spans are shown.
            let mut places = vec![None; run.spans.len()];
            let mut kept: Vec<Slice> = Vec::new();
            for (place, slice) in run.spans.iter().enumerate() {
                if slice.to >= from && slice.from <= to && (!several || slice.parent.is_none()) {
                    places[place] = Some(kept.len());
                    kept.push(slice.clone());
                }
            }
            for slice in &mut kept {
                slice.parent = slice.parent.and_then(|parent| places.get(parent).copied().flatten());
            }
            if !kept.is_empty() {
                let rows = spans::rows(&kept);
                all.push((number, kept, rows));
            }
        }
        all
    }

    fn draw_spans(&mut self, all: &[(usize, Vec<Slice>, Vec<usize>)], plot: Area, top: f64, height: Option<f64>) -> f64 {
        let row_height = self.size * 1.5;
        let most = height.map_or(10, |height| ((height * 0.28 * self.generosity.max(0.0) / row_height) as usize).min(10));
        if most == 0 {
            return top;
        }
        let most_each = if all.len() > 1 { (most / all.len()).max(1) } else { most };
        let mut y = top;
        for (run, slices, rows) in all {
            let used = rows.iter().max().map_or(0, |row| row + 1).min(most_each);
            if self.runs.len() > 1 {
                let name = font::cut(&self.runs[*run].name, plot.x - 10.0, self.size, false);
                let text = Text {
                    anchor: Anchor::End,
                    colour: self.hues.of(&self.runs[*run].name, self.ink),
                    ..self.text(plot.x - 5.0, y + self.size * 1.05, name)
                };
                self.say(Part::Spans, text);
            }
            let blocks = spans::blocks(slices, rows, used, |at| self.x(plot, at));
            for block in &blocks {
                let hue = self.hues.of(&block.name, self.ink);
                let fill = hue.over(self.ink.ground, if self.look.theme == Theme::Dark { 0.42 } else { 0.34 });
                let space = if block.to - block.from > 4.0 { 1.0 } else { 0.0 };
                let area = Area {
                    x: block.from,
                    y: y + block.row as f64 * row_height,
                    width: (block.to - block.from - space).max(0.6).min((plot.right() - block.from).max(0.0)),
                    height: row_height - 1.5,
                };
                self.out.push((Part::Spans, Shape::Rect { area, fill, opacity: 1.0 }));
                if block.failed {
                    let edge = Area { y: area.bottom() - 2.0, height: 2.0, ..area };
                    self.out.push((Part::Spans, Shape::Rect { area: edge, fill: self.ink.alarm, opacity: 1.0 }));
                }
                let said = if block.many > 1 { format!("{} ×{}", block.name, block.many) } else { block.name.clone() };
                let name = font::cut(&said, area.width - 6.0, self.size * 0.94, false);
                let text = Text { size: self.size * 0.94, ..self.text(area.x + 3.0, area.y + area.height / 2.0 + self.size * 0.33, name) };
                self.say(Part::Spans, text);
            }
            let hidden = rows.iter().filter(|row| **row >= used).count();
            y += used as f64 * row_height;
            if hidden > 0 {
                let text = format!("and {} in rows below", barograph_view::human::plural(hidden as u64, "span", "spans"));
                let text = font::cut(&text, plot.width, self.size * 0.9, false);
                let text = Text { size: self.size * 0.9, colour: self.ink.dim, ..self.text(plot.x, y + self.size * 0.85, text) };
                self.say(Part::Spans, text);
                y += self.size * 1.2;
            }
        }
        if all.is_empty() { y } else { y + self.size * 0.5 }
    }

    /// The outermost spans as faint bands across the panels; where one is all there is, those within it.
    fn bands(&self) -> Vec<(f64, f64, Rgb)> {
        const MOST: usize = 60;
        let [run] = self.runs else { return Vec::new() };
        let (from, to) = self.look.time;
        let is_all = |slice: &Slice| slice.from <= from + 0.02 * (to - from) && slice.to >= to - 0.02 * (to - from);
        let is_band = |slice: &&Slice| match slice.parent {
            None => !is_all(slice),
            Some(parent) => run.spans.get(parent).is_some_and(|parent| parent.parent.is_none() && is_all(parent)),
        };
        let bands: Vec<_> = run.spans.iter().filter(is_band).filter(|slice| slice.to > from && slice.from < to).collect();
        // Bands upon bands would be mud.
        let is_clear = bands.iter().zip(bands.iter().skip(1)).all(|(one, next)| next.from >= one.to - 0.005 * (to - from));
        if bands.len() > MOST || !is_clear {
            return Vec::new();
        }
        bands.into_iter().map(|slice| (slice.from, slice.to, self.hues.of(&slice.name, self.ink))).collect()
    }

    // Marks

    pub(crate) fn all_marks(&self) -> Vec<(&'a Mark, usize)> {
        let (from, to) = self.look.time;
        let mut marks: Vec<(&Mark, usize)> = self
            .runs
            .iter()
            .enumerate()
            .flat_map(|(number, run)| run.marks.iter().map(move |mark| (mark, number)))
            .filter(|(mark, _)| mark.at >= from && mark.at <= to)
            .collect();
        marks.sort_by(|a, b| a.0.at.total_cmp(&b.0.at).then(a.1.cmp(&b.1)));
        marks
    }

    fn place_marks(&self, plot: Area, right: f64, height: Option<f64>) -> Vec<marks::Label> {
        const LONGEST: usize = 32;
        let rows = height.map_or(6, |height| ((height * 0.2 * self.generosity.max(0.0) / (self.size * 1.3)) as usize).min(6));
        let names: Vec<(f64, String)> = self
            .all_marks()
            .iter()
            .map(|(mark, _)| {
                let short: String = mark.name.chars().take(LONGEST).collect();
                (self.x(plot, mark.at), if short.len() < mark.name.len() { format!("{}…", short.trim_end()) } else { short })
            })
            .collect();
        let marks: Vec<(f64, &str)> = names.iter().map(|(x, name)| (*x, name.as_str())).collect();
        marks::place(&marks, (plot.x, right), rows, self.size * 0.94)
    }

    fn draw_marks(&mut self, labels: &[marks::Label], top: f64, plot: Area, plots: &[Area]) {
        let row = self.size * 1.3;
        let size = self.size * 0.94;
        let bottom = plots.first().map_or(top, |area| area.y);
        let several = self.runs.len() > 1;
        let marks = self.all_marks();
        for (number, (mark, run)) in marks.iter().enumerate() {
            let x = self.x(plot, mark.at);
            let colour = if several { self.hues.of(&self.runs[*run].name, self.ink) } else { self.ink.ink };
            let label = labels.iter().find(|label| label.mark == number);
            let stroke = Stroke { colour, width: 0.75, dash: if label.is_some() { &[2.0, 2.0] } else { &[] } };
            for (place, area) in plots.iter().enumerate() {
                // A mark without words is a notch, or many would hide what they mark.
                let end = if label.is_some() { area.bottom() } else { area.y + 6.0 };
                self.out.push((Part::Plot(place), Shape::Lines { lines: vec![vec![(x, area.y), (x, end)]], stroke: stroke.clone() }));
            }
            if let Some(label) = label {
                let y = top + label.row as f64 * row;
                let leader = Stroke { colour, width: 0.75, dash: &[] };
                self.out.push((Part::Marks, Shape::Lines { lines: vec![vec![(x, y + 2.0), (x, bottom)]], stroke: leader }));
                let text = Text { size, colour, ..self.text(label.x, y + size * 0.95, label.text.clone()) };
                self.say(Part::Marks, text);
            }
        }
    }

    // Panels

    #[allow(clippy::too_many_arguments, reason = "places on the sheet")]
    fn draw_panel(&mut self, number: usize, content: &Content, area: Area, axis: &scale::Axis, top: f64, legend: Legend, right: f64) {
        let size = self.size;
        let frame = Part::Frame(number);
        let base = top + size * 1.25;
        let title = font::cut(&content.title, if legend.width > 0.0 { area.width } else { right - area.x }, size, true);
        let title_width = font::width(&title, size, true);
        self.say(frame, Text { bold: true, ..self.text(area.x, base, title) });
        let is_heat = content.style == Style::Heat;
        if !axis.unit.is_empty() && !is_heat {
            let unit = font::cut(axis.unit, area.width - title_width - 6.0, size, false);
            let text = Text { colour: self.ink.dim, ..self.text(area.x + title_width + size * 0.6, base, unit) };
            self.say(frame, text);
        }
        let above: Vec<String> =
            content.limits.iter().filter(|limit| limit.value > axis.top).map(|limit| scale::limit(content.unit, limit)).collect();
        if legend.width > 0.0 && !above.is_empty() && !is_heat {
            let used = title_width + font::width(axis.unit, size, false) + size * 2.0;
            let text = font::cut(&above.join(", "), area.width - used, size * 0.94, false);
            let text = Text { anchor: Anchor::End, size: size * 0.94, colour: self.ink.dim, ..self.text(area.right(), base, text) };
            self.say(frame, text);
        }
        for (from, to, hue) in self.bands() {
            let (from, to) = (self.x(area, from), self.x(area, to));
            let band = Area { x: from, y: area.y, width: to - from, height: area.height };
            let opacity = if self.look.theme == Theme::Dark { 0.13 } else { 0.09 };
            self.out.push((frame, Shape::Rect { area: band, fill: hue, opacity }));
        }
        let plane = Plane { area, time: self.look.time, axis };
        if is_heat {
            let top = content.full();
            content.draw_heat(number, &plane, top, self.ink, size * 0.92, &mut self.out);
            self.draw_scale(number, content, area, legend.width, top);
            return;
        }
        for (value, text) in &axis.ticks {
            let y = area.bottom() - axis.place(*value) * area.height;
            let is_ground = *value == 0.0;
            let stroke =
                Stroke { colour: if is_ground { self.ink.axis } else { self.ink.grid }, width: if is_ground { 0.9 } else { 0.7 }, dash: &[] };
            self.out.push((frame, Shape::Lines { lines: vec![vec![(area.x, y), (area.right(), y)]], stroke }));
            let text = Text { anchor: Anchor::End, colour: self.ink.dim, ..self.text(area.x - 5.0, y + size * 0.35, text.clone()) };
            self.say(frame, text);
        }
        let mut shapes = Vec::new();
        content.draw(Part::Plot(number), &plane, self.ink, size * 0.94, &mut shapes);
        self.out.append(&mut shapes);
        if content.is_empty() {
            hatch(area, quiet(self.ink), 0, Part::Plot(number), &mut self.out);
            let text = Text {
                anchor: Anchor::Middle,
                colour: self.ink.dim,
                ..self.text(area.x + area.width / 2.0, area.y + area.height / 2.0 + size * 0.35, "no values in this time")
            };
            let covered = text.area();
            self.out.push((
                Part::Plot(number),
                Shape::Rect { area: Area { x: covered.x - 4.0, width: covered.width + 8.0, ..covered }, fill: self.ink.ground, opacity: 1.0 },
            ));
            self.say(Part::Plot(number), text);
        } else if legend.width > 0.0 {
            self.draw_legend(number, content, area, base, legend);
        } else {
            self.draw_flow(number, content, area, base + size * 0.5);
        }
    }

    /// The colours of a heat map and what they stand for.
    fn draw_scale(&mut self, number: usize, content: &Content, area: Area, legend: f64, top: f64) {
        if legend < 60.0 {
            return;
        }
        const STEPS: usize = 24;
        let x = area.right() + self.size * 1.2;
        let width = (legend - self.size * 2.2).min(110.0);
        let each = width / STEPS as f64;
        for step in 0..STEPS {
            let cell = Area { x: x + step as f64 * each, y: area.y, width: each + if step + 1 < STEPS { 0.3 } else { 0.0 }, height: self.size * 0.8 };
            self.out.push((Part::Legend(number), Shape::Rect { area: cell, fill: self.ink.heat((step as f64 + 0.5) / STEPS as f64), opacity: 1.0 }));
        }
        let y = area.y + self.size * 1.9;
        let low = Text { colour: self.ink.dim, ..self.text(x, y, "0") };
        let high = Text { colour: self.ink.dim, anchor: Anchor::End, ..self.text(x + width, y, scale::value(content.unit, top)) };
        if low.area().right() < high.area().x {
            self.say(Part::Legend(number), low);
        }
        self.say(Part::Legend(number), high);
    }

    /// Mean and peak of a line, as its legend has them.
    pub(crate) fn figures(content: &Content, summary: &Summary) -> [String; 2] {
        [summary.mean, summary.peak].map(|value| value.map(|value| scale::value(content.unit, value)).unwrap_or_default())
    }

    fn numbers_width(&self, contents: &[Content]) -> [f64; 2] {
        let mut widest = ["mean", "peak"].map(|head| font::width(head, self.size, false));
        for content in contents {
            for summary in content.lines.iter().map(|line| &line.summary).chain(&content.total) {
                for (widest, text) in widest.iter_mut().zip(Self::figures(content, summary)) {
                    *widest = widest.max(font::width(&text, self.size, false));
                }
            }
        }
        widest
    }

    /// The legend's columns, the same for all panels.
    fn legend(&self, contents: &[Content], width: f64) -> Legend {
        let lines = contents.iter().filter(|content| content.style != Style::Heat).flat_map(|content| &content.lines);
        let names = lines.map(|line| font::width(&line.label, self.size, false)).fold(font::width("others", self.size, false), f64::max);
        let [mean, peak] = self.numbers_width(contents);
        let besides = self.size * (1.2 + 1.3 + 0.9 + 1.2) + mean + peak;
        let width = (names + besides).min((width * 0.38).max(besides + self.size * 4.0));
        Legend { width, peak: width, mean: width - peak - self.size * 1.2, names: width - besides }
    }

    fn draw_legend(&mut self, number: usize, content: &Content, area: Area, base: f64, legend: Legend) {
        let size = self.size;
        let part = Part::Legend(number);
        let x = area.right() + size * 1.2;
        let columns = [area.right() + legend.mean, area.right() + legend.peak];
        let name_room = legend.names;
        let row = size * ROW;
        // As many rows as there is room for, and the last one says how many there is none for.
        let room = ((area.bottom() + size * 0.3 - base) / row) as usize;
        let total = content.total.filter(|_| content.lines.len() > 1 && room > 2);
        let rows = room.saturating_sub(usize::from(total.is_some())).max(1);
        for (column, head) in columns.iter().zip(["mean", "peak"]) {
            let text = Text { anchor: Anchor::End, colour: self.ink.dim, ..self.text(*column, base, head) };
            self.say(part, text);
        }
        let mut y = base;
        if let Some(total) = &total {
            y += row;
            self.say(part, self.text(x + size * 1.3, y, font::cut("all", name_room, size, false)));
            self.draw_figures(part, content, total, columns, y);
        }
        let all = content.lines.len() + content.specks;
        let shown = if all > rows { content.lines.len().min(rows - 1) } else { content.lines.len() };
        for line in &content.lines[..shown] {
            y += row;
            self.draw_swatch(part, content, line, x, y);
            self.say(part, self.text(x + size * 1.3, y, font::cut(&line.label, name_room, size, false)));
            self.draw_figures(part, content, &line.summary, columns, y);
        }
        if shown < all {
            let text = format!("and {} more", all - shown);
            let text = Text { colour: self.ink.dim, ..self.text(x + size * 1.3, y + row, text) };
            self.say(part, text);
        }
    }

    fn draw_figures(&mut self, part: Part, content: &Content, summary: &Summary, columns: [f64; 2], y: f64) {
        for (column, text) in columns.into_iter().zip(Self::figures(content, summary)) {
            let text = Text { anchor: Anchor::End, ..self.text(column, y, text) };
            self.say(part, text);
        }
    }

    fn draw_swatch(&mut self, part: Part, content: &Content, line: &Drawn, x: f64, base: f64) {
        let size = self.size;
        if content.style == Style::Stack {
            let area = Area { x, y: base - size * 0.74, width: size * 0.8, height: size * 0.8 };
            self.out.push((part, Shape::Rect { area, fill: line.colour, opacity: 1.0 }));
        } else {
            let y = base - size * 0.33;
            let stroke = Stroke { colour: line.colour, width: 2.0, dash: line.dash };
            self.out.push((part, Shape::Lines { lines: vec![vec![(x, y), (x + size * 0.9, y)]], stroke }));
        }
    }

    // In a narrow figure the legend flows below the title: name, mean and peak.

    /// Entries with their widths, in lines.
    fn flow(&self, content: &Content, width: f64) -> Vec<Vec<(usize, String, f64)>> {
        let most_lines = if self.generosity >= 0.0 { 3 } else { 1 };
        if content.style == Style::Heat || content.is_empty() {
            return Vec::new();
        }
        let mut lines: Vec<Vec<(usize, String, f64)>> = vec![Vec::new()];
        let mut x = 0.0;
        for (place, line) in content.lines.iter().enumerate() {
            let [mean, peak] = Self::figures(content, &line.summary);
            let name = font::cut(&line.label, (width * 0.5).max(40.0), self.size, false);
            let said = format!("{name} {mean}, {peak}");
            let entry = self.size * 1.15 + font::width(&said, self.size, false) + self.size;
            if x + entry > width + self.size && x > 0.0 {
                if lines.len() == most_lines {
                    break;
                }
                lines.push(Vec::new());
                x = 0.0;
            }
            if let Some(last) = lines.last_mut() {
                last.push((place, said, x));
            }
            x += entry;
        }
        lines
    }

    fn flow_height(&self, content: &Content, width: f64) -> f64 {
        self.flow(content, width).len() as f64 * self.size * 1.3
    }

    fn draw_flow(&mut self, number: usize, content: &Content, area: Area, top: f64) {
        let part = Part::Legend(number);
        for (row, entries) in self.flow(content, area.width).into_iter().enumerate() {
            let y = top + row as f64 * self.size * 1.3 + self.size * 0.85;
            for (place, said, x) in entries {
                self.draw_swatch(part, content, &content.lines[place], area.x + x, y);
                let room = area.width - x - self.size * 1.15;
                self.say(part, self.text(area.x + x + self.size * 1.15, y, font::cut(&said, room, self.size, false)));
            }
        }
        let heads = Text { anchor: Anchor::End, colour: self.ink.dim, ..self.text(area.right(), top - self.size * 0.5, "mean, peak") };
        let title = font::width(&content.title, self.size, true) + font::width("million per second", self.size, false) + self.size;
        if title + font::width("mean, peak", self.size, false) < area.width {
            self.say(part, heads);
        }
    }

    // Time

    fn draw_time(&mut self, area: Area, pad: f64, width: f64) {
        let size = self.size;
        let (from, to) = self.look.time;
        let ticks = self.look.clock.ticks(from, to, area.width, size);
        let stroke = Stroke { colour: self.ink.axis, width: 0.9, dash: &[] };
        let y = area.bottom() + 4.0;
        let mut lines = Vec::new();
        for (at, text) in ticks.ticks {
            let x = self.x(area, at);
            lines.push(vec![(x, area.bottom()), (x, y)]);
            let text = Text { anchor: Anchor::Middle, colour: self.ink.dim, ..self.text(x, y + size * 1.0, text) };
            let covered = text.area();
            if covered.x >= pad * 0.3 && covered.right() <= width - pad * 0.3 {
                self.say(Part::Time, text);
            }
        }
        lines.push(vec![(area.x, area.bottom()), (area.right(), area.bottom())]);
        self.out.push((Part::Time, Shape::Lines { lines, stroke }));
        let title = font::cut(&ticks.title, area.width, size, false);
        let text = Text { colour: self.ink.dim, ..self.text(area.x, y + size * 2.35, title) };
        self.say(Part::Time, text);
    }

    /// For who can't see the figure: its panels, and what their lines come to.
    fn description(&self, contents: &[Content]) -> String {
        let lines = |content: &Content| {
            let line = |line: &Drawn| {
                let [mean, peak] = Self::figures(content, &line.summary);
                format!("{} (mean {mean}, peak {peak})", line.label)
            };
            content.lines.iter().map(line).collect::<Vec<_>>().join(", ")
        };
        contents.iter().map(|content| format!("{}: {}.", content.title, lines(content))).collect::<Vec<_>>().join(" ")
    }
}

/// Where a run has no data.
fn holes<'a>(shown: &'a Shown, run: &Run, whose: Option<(Rgb, usize)>) -> impl Iterator<Item = Hole> + use<'a> {
    let start = run.start;
    shown.lines.gaps.iter().map(move |gap| Hole { from: gap.from - start, to: gap.to - start, run: whose })
}
