//! What is drawn within a panel: stacked areas, lines, cells, limits, gaps. Everything stays inside of its area.

use barograph_view::text::clean;
use barograph_view::{Kind, Limit, Line, Panel, Style, Summary, Unit};

use crate::colours::{Ink, Rgb};
use crate::font;
use crate::scale::{self, Axis};
use crate::shape::{Anchor, Area, Part, Shape, Stroke, Text};

/// A line as it is drawn: its colour known, its points in milliseconds since the start.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) label: String,
    pub(crate) is_others: bool,
    pub(crate) colour: Rgb,
    pub(crate) dash: &'static [f64],
    pub(crate) x: Vec<f64>,
    pub(crate) mean: Vec<f64>,
    pub(crate) range: Option<(Vec<f64>, Vec<f64>)>,
    pub(crate) summary: Summary,
}

impl Drawn {
    pub(crate) fn new(line: &Line, label: String, start: f64, colour: Rgb) -> Drawn {
        let points = &line.points;
        let is_whole = points.min.len() == points.mean.len() && points.max.len() == points.mean.len();
        Drawn {
            label: clean(&label).into_owned(),
            is_others: line.kind == Kind::Others,
            colour,
            dash: &[],
            x: points.x.iter().map(|x| x - start).collect(),
            mean: points.mean.clone(),
            range: (is_whole && !points.mean.is_empty()).then(|| (points.min.clone(), points.max.clone())),
            summary: line.summary,
        }
    }
}

/// A stretch without data, in milliseconds since the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hole {
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Where there are several runs: the colour and the number of the one that has none there.
    pub(crate) run: Option<(Rgb, usize)>,
}

/// A panel and its lines, ready to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) style: Style,
    pub(crate) limits: Vec<Limit>,
    /// Stacked: the lowest first.
    pub(crate) lines: Vec<Drawn>,
    /// What all lines of a stack come to.
    pub(crate) total: Option<Summary>,
    /// Stretches without data.
    pub(crate) gaps: Vec<Hole>,
    /// How many lines of a stack are left out, as nobody could see them.
    pub(crate) specks: usize,
}

impl Content {
    pub(crate) fn new(panel: &Panel) -> Content {
        Content {
            title: clean(&panel.title).into_owned(),
            unit: panel.unit,
            style: panel.style,
            limits: panel.limits.clone(),
            lines: Vec::new(),
            total: None,
            gaps: Vec::new(),
            specks: 0,
        }
    }

    /// Whether there is a value at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.mean.iter().all(|value| value.is_nan()))
    }

    /// Of a stack without the lines that nobody could see.
    pub(crate) fn without_specks(mut self) -> Content {
        const SPECK: f64 = 0.002;
        if self.style == Style::Stack {
            let least =
                SPECK * self.stacked().1.last().into_iter().flatten().filter(|value| value.is_finite()).fold(0.0, |top, value| value.max(top));
            let is_seen = |line: &Drawn| line.summary.peak.is_some_and(|peak| peak > 0.0 && peak >= least);
            if self.lines.iter().any(is_seen) {
                // Who used nothing at all is not worth a word.
                let is_speck = |line: &&Drawn| !line.is_others && !is_seen(line) && line.summary.peak.is_some_and(|peak| peak > 0.0);
                self.specks = self.lines.iter().filter(is_speck).count();
                self.lines.retain(is_seen);
            }
        }
        self
    }

    /// What is the full colour of a heat map.
    pub(crate) fn full(&self) -> f64 {
        match self.unit {
            Unit::Ratio | Unit::Cores => 1.0,
            _ => self.axis(4).top,
        }
    }

    /// The stack as heights above zero: for each line the values below it, and with it, at the shared times.
    pub(crate) fn stacked(&self) -> (Vec<f64>, Vec<Vec<f64>>) {
        let x = shared_times(&self.lines);
        let mut sums = vec![f64::NAN; x.len()];
        let edges = self.lines.iter().map(|line| {
            let values = at_times(&line.x, &line.mean, &x);
            for (sum, value) in sums.iter_mut().zip(values).filter(|(_, value)| value.is_finite()) {
                *sum = if sum.is_nan() { 0.0 } else { *sum } + value.max(0.0);
            }
            sums.clone()
        });
        let edges: Vec<Vec<f64>> = edges.collect();
        (x, edges)
    }

    /// The axis of its values, with room for about so many ticks.
    pub(crate) fn axis(&self, ticks: usize) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut see = |value: f64| {
            if value.is_finite() {
                (low, high) = (low.min(value), high.max(value));
            }
        };
        match self.style {
            Style::Stack => self.stacked().1.last().into_iter().flatten().for_each(|value| see(*value)),
            _ => {
                for line in &self.lines {
                    line.mean.iter().for_each(|value| see(*value));
                    line.range.iter().for_each(|(min, max)| min.iter().chain(max).for_each(|value| see(*value)));
                }
            }
        }
        // A limit that is far above everything would press the curve flat. It is told of at the edge instead.
        let near: Vec<f64> = self.limits.iter().map(|limit| limit.value).filter(|value| high > 0.0 && *value <= 2.5 * high).collect();
        near.into_iter().for_each(|value| {
            if value > high {
                high = value;
            }
        });
        Axis::new(self.unit, low, high, ticks)
    }

    /// Draws what lies within the area.
    pub(crate) fn draw(&self, part: Part, plane: &Plane<'_>, ink: &Ink, size: f64, out: &mut Vec<(Part, Shape)>) {
        let area = plane.area;
        for &Hole { from, to, run } in &self.gaps {
            let (from, to) = (plane.x(from), plane.x(to));
            if to - from >= 2.0 {
                let (colour, shift) = run.map_or_else(|| (quiet(ink), 0), |(colour, run)| (colour.over(ink.ground, 0.4), run));
                hatch(Area { x: from, y: area.y, width: to - from, height: area.height }, colour, shift, part, out);
            }
        }
        let mut labels = Vec::new();
        match self.style {
            Style::Stack => self.draw_stack(plane, part, ink, size, out, &mut labels),
            Style::Lines => self.draw_lines(plane, part, out),
            Style::Heat => {}
        }
        self.draw_limits(plane, part, ink, size, out, &mut labels);
    }

    fn draw_stack(&self, plane: &Plane<'_>, part: Part, ink: &Ink, size: f64, out: &mut Vec<(Part, Shape)>, labels: &mut Vec<Area>) {
        let (x, edges) = self.stacked();
        let x: Vec<f64> = x.iter().map(|x| plane.x(*x)).collect();
        let below = |number: usize, place: usize| if number == 0 { 0.0 } else { edges[number - 1][place] };
        let height = |number: usize, place: usize| {
            let below = below(number, place);
            edges[number][place] - if below.is_nan() { 0.0 } else { below }
        };
        // From the top down, each to the ground, so that no seam is seen between two.
        for (number, line) in self.lines.iter().enumerate().rev() {
            let is_seen = |place: usize| height(number, place) > 0.0;
            let mut outlines = Vec::new();
            for (from, to) in stretches(x.len(), |place| edges[number][place].is_finite()) {
                for (from, to) in seen_stretches(from, to, &is_seen) {
                    let mut outline: Vec<(f64, f64)> = (from..to).map(|place| (x[place], plane.y(edges[number][place]))).collect();
                    if to - from == 1 {
                        // What was seen once is as wide as a line.
                        let (at, y) = outline[0];
                        outline = vec![(plane.inside(at - 0.75), y), (plane.inside(at + 0.75), y)];
                    }
                    let ground = plane.y(0.0);
                    let (first, last) = (outline[0].0, outline[outline.len() - 1].0);
                    outline.push((last, ground));
                    outline.push((first, ground));
                    outlines.push(outline);
                }
            }
            if !outlines.is_empty() {
                out.push((part, Shape::Fill { outlines, fill: line.colour, opacity: 1.0 }));
            }
        }
        // Hairlines of the ground's colour part what is thick enough to be parted.
        for (number, edge) in edges.iter().enumerate().take(self.lines.len().saturating_sub(1)) {
            let is_thick = |place: usize| {
                let pixels = |value: f64| value / (plane.axis.top - plane.axis.bottom) * plane.area.height;
                pixels(height(number, place)) > 2.5 && (number + 1..self.lines.len()).any(|above| pixels(height(above, place)) > 2.5)
            };
            let lines: Vec<Vec<(f64, f64)>> = stretches(x.len(), |place| edge[place].is_finite() && is_thick(place))
                .into_iter()
                .filter(|(from, to)| to - from > 1)
                .map(|(from, to)| (from..to).map(|place| (x[place], plane.y(edge[place]))).collect())
                .collect();
            if !lines.is_empty() {
                out.push((part, Shape::Lines { lines, stroke: Stroke { colour: ink.ground, width: 0.6, dash: &[] } }));
            }
        }
        for (number, line) in self.lines.iter().enumerate() {
            let y = |place: usize| (plane.y(edges[number][place]), plane.y(if number == 0 { 0.0 } else { edges[number - 1][place] }));
            let short = line.label.split(" (").next().unwrap_or(&line.label);
            let found = [line.label.as_str(), short].into_iter().find_map(|text| Some((text, widest_place(&x, text, size, y)?)));
            if let Some((text, (at, base))) = found {
                let text = Text { x: at, y: base, anchor: Anchor::Middle, size, bold: false, colour: ink.on(line.colour), content: text.to_owned() };
                if plane.area.contains(&text.area()) && labels.iter().all(|label| !label.overlaps(&text.area())) {
                    labels.push(text.area());
                    out.push((part, Shape::Text(text)));
                }
            }
        }
    }

    fn draw_lines(&self, plane: &Plane<'_>, part: Part, out: &mut Vec<(Part, Shape)>) {
        for line in self.lines.iter().rev() {
            let x: Vec<f64> = line.x.iter().map(|x| plane.x(*x)).collect();
            if let Some((min, max)) = &line.range {
                let outlines: Vec<Vec<(f64, f64)>> = stretches(x.len(), |place| min[place].is_finite() && max[place].is_finite())
                    .into_iter()
                    .filter(|(from, to)| to - from > 1)
                    .map(|(from, to)| {
                        let there = (from..to).map(|place| (x[place], plane.y(max[place])));
                        there.chain((from..to).rev().map(|place| (x[place], plane.y(min[place])))).collect()
                    })
                    .collect();
                if !outlines.is_empty() {
                    out.push((part, Shape::Fill { outlines, fill: line.colour, opacity: 0.22 }));
                }
            }
        }
        for line in self.lines.iter().rev() {
            let x: Vec<f64> = line.x.iter().map(|x| plane.x(*x)).collect();
            let lines: Vec<Vec<(f64, f64)>> = stretches(x.len(), |place| line.mean[place].is_finite())
                .into_iter()
                .map(|(from, to)| (from..to).map(|place| (x[place], plane.y(line.mean[place]))).collect())
                .collect();
            if !lines.is_empty() {
                let width = if lines.iter().all(|line| line.len() == 1) { 2.5 } else { 1.2 };
                out.push((part, Shape::Lines { lines, stroke: Stroke { colour: line.colour, width, dash: line.dash } }));
            }
        }
    }

    fn draw_limits(&self, plane: &Plane<'_>, part: Part, ink: &Ink, size: f64, out: &mut Vec<(Part, Shape)>, labels: &mut Vec<Area>) {
        let size = size * 0.92;
        for limit in &self.limits {
            let text = scale::limit(self.unit, limit);
            if limit.value > plane.axis.top {
                continue;
            }
            let y = plane.y(limit.value);
            let stroke = Stroke { colour: ink.alarm, width: 1.0, dash: &[5.0, 3.0] };
            out.push((part, Shape::Lines { lines: vec![vec![(plane.area.x, y), (plane.area.right(), y)]], stroke }));
            let content = font::cut(&text, plane.area.width - 8.0, size, false);
            if content.is_empty() {
                continue;
            }
            let label = |base: f64| Text {
                x: plane.area.right() - 4.0,
                y: base,
                anchor: Anchor::End,
                size,
                bold: false,
                colour: ink.alarm,
                content: content.clone(),
            };
            let bases = [y - 3.0 - size * font::DESCENT, y + 3.0 + size * font::ASCENT];
            let free = |text: &Text| plane.area.contains(&text.area()) && labels.iter().all(|label| !label.overlaps(&text.area()));
            if let Some(text) = bases.into_iter().map(label).find(|text| free(text)) {
                let covered = text.area();
                out.push((
                    part,
                    Shape::Rect { area: Area { x: covered.x - 2.0, width: covered.width + 4.0, ..covered }, fill: ink.ground, opacity: 0.85 },
                ));
                labels.push(covered);
                out.push((part, Shape::Text(text)));
            }
        }
    }

    /// Draws rows of cells, and their names to the left.
    pub(crate) fn draw_heat(&self, number: usize, plane: &Plane<'_>, top: f64, ink: &Ink, size: f64, out: &mut Vec<(Part, Shape)>) {
        const LEVELS: f64 = 24.0;
        let area = plane.area;
        let height = area.height / self.lines.len().max(1) as f64;
        let space = if height > 4.0 { 0.75 } else { 0.0 };
        let mut free_from = f64::NEG_INFINITY;
        for (row, line) in self.lines.iter().enumerate() {
            let y = area.y + row as f64 * height;
            let name = Text {
                x: area.x - 5.0,
                y: y + height / 2.0 + size * 0.36,
                anchor: Anchor::End,
                size,
                bold: false,
                colour: ink.dim,
                content: font::cut(&line.label, area.x - 8.0, size, false),
            };
            if name.area().y > free_from {
                free_from = name.area().bottom() + 1.0;
                out.push((Part::Frame(number), Shape::Text(name)));
            }
            let level = |place: usize| line.mean[place].is_finite().then(|| (line.mean[place] / top * LEVELS).round().clamp(0.0, LEVELS) as u32);
            let mut place = 0;
            while place < line.x.len() {
                let Some(here) = level(place) else {
                    place += 1;
                    continue;
                };
                let mut end = place + 1;
                while end < line.x.len() && level(end) == Some(here) {
                    end += 1;
                }
                // A value tells of the time before it; of a bucket, of that around its middle. Either way cells meet halfway.
                let half = |a: usize, b: usize| if b < line.x.len() && level(b).is_some() { (line.x[a] + line.x[b]) / 2.0 } else { line.x[a] };
                let from = if place > 0 && level(place - 1).is_some() { half(place - 1, place) } else { line.x[place] };
                let to = half(end - 1, end);
                let (from, to) = (plane.x(from), plane.x(to).max(plane.inside(plane.x(from) + 0.75)));
                let cell = Area { x: from, y, width: to - from, height: height - space };
                out.push((Part::Plot(number), Shape::Rect { area: cell, fill: ink.heat(f64::from(here) / LEVELS), opacity: 1.0 }));
                place = end;
            }
        }
    }
}

/// Where values and times lie on paper.
pub(crate) struct Plane<'a> {
    pub(crate) area: Area,
    pub(crate) time: (f64, f64),
    pub(crate) axis: &'a Axis,
}

impl Plane<'_> {
    fn x(&self, at: f64) -> f64 {
        self.inside(self.area.x + (at - self.time.0) / (self.time.1 - self.time.0) * self.area.width)
    }

    fn inside(&self, x: f64) -> f64 {
        x.clamp(self.area.x, self.area.right())
    }

    fn y(&self, value: f64) -> f64 {
        self.area.bottom() - self.axis.place(value) * self.area.height
    }
}

/// Stretches of places of which something is true: begin, and end, which is beyond.
fn stretches(length: usize, is_true: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for place in (0..length).filter(|place| is_true(*place)) {
        match found.last_mut() {
            Some((_, end)) if *end == place => *end += 1,
            _ => found.push((place, place + 1)),
        }
    }
    found
}

/// Those within a stretch that are seen, with their neighbours, from and to which they rise and fall.
fn seen_stretches(from: usize, to: usize, is_seen: &dyn Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let near = |place: usize| is_seen(place) || (place > from && is_seen(place - 1)) || (place + 1 < to && is_seen(place + 1));
    stretches(to - from, |place| near(from + place)).into_iter().map(|(begin, end)| (from + begin, from + end)).collect()
}

/// The times of all lines, in order.
fn shared_times(lines: &[Drawn]) -> Vec<f64> {
    let Some(first) = lines.first() else { return Vec::new() };
    if lines.iter().all(|line| line.x == first.x) {
        return first.x.clone();
    }
    let mut all: Vec<f64> = lines.iter().flat_map(|line| line.x.iter().copied()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// Values at these times: between points, what lies between them.
pub(crate) fn at_times(x: &[f64], values: &[f64], times: &[f64]) -> Vec<f64> {
    if x == times {
        return values.to_vec();
    }
    let value = |at: f64| {
        let after = x.partition_point(|x| *x < at);
        if x.get(after) == Some(&at) {
            return values[after];
        }
        if after == 0 || after == x.len() {
            return f64::NAN;
        }
        let part = (at - x[after - 1]) / (x[after] - x[after - 1]);
        values[after - 1] + (values[after] - values[after - 1]) * part
    };
    times.iter().map(|at| value(*at)).collect()
}

/// The place for a text in a band between two edges where it has most room: its middle and its base line.
fn widest_place(x: &[f64], text: &str, size: f64, y: impl Fn(usize) -> (f64, f64)) -> Option<(f64, f64)> {
    let (width, height) = (font::width(text, size, false) + 8.0, size * 1.15);
    let mut best: Option<(f64, f64, f64)> = None;
    let mut end = 0;
    let step = (x.len() / 200).max(1);
    for from in (0..x.len()).step_by(step) {
        end = end.max(from);
        while end < x.len() && x[end] < x[from] + width {
            end += 1;
        }
        if end == x.len() {
            break;
        }
        let (mut upper, mut lower) = (f64::NEG_INFINITY, f64::INFINITY);
        for place in from..=end {
            let (top, bottom) = y(place);
            // A comparison with what is not known is false.
            if !(top.is_finite() && bottom.is_finite()) {
                (upper, lower) = (0.0, 0.0);
                break;
            }
            (upper, lower) = (upper.max(top), lower.min(bottom));
        }
        let room = lower - upper;
        if room >= height && best.is_none_or(|(most, ..)| room > most + 0.5) {
            best = Some((room, x[from] + width / 2.0, (upper + lower) / 2.0 + size * 0.35));
        }
    }
    best.map(|(_, x, y)| (x, y))
}

/// What is said quietly, in no colour of a run.
pub(crate) fn quiet(ink: &Ink) -> Rgb {
    ink.axis.over(ink.ground, 0.45)
}

/// Faint diagonals: nothing is known here, of any run or of the one that is so shifted.
pub(crate) fn hatch(area: Area, colour: Rgb, shift: usize, part: Part, out: &mut Vec<(Part, Shape)>) {
    const APART: f64 = 7.0;
    let mut lines = Vec::new();
    // They lie on one grid over the whole figure, those of another run beside it, and are cut at the edges.
    let beside = (shift % 3) as f64 * APART / 3.0;
    let first = ((area.x + area.y - beside) / APART).ceil() as i64;
    let last = ((area.right() + area.bottom() - beside) / APART).floor() as i64;
    for sum in (first..=last).map(|place| place as f64 * APART + beside) {
        let from = (sum - area.bottom()).max(area.x);
        let to = (sum - area.y).min(area.right());
        if to > from {
            lines.push(vec![(from, sum - from), (to, sum - to)]);
        }
    }
    if !lines.is_empty() {
        out.push((part, Shape::Lines { lines, stroke: Stroke { colour, width: 0.6, dash: &[] } }));
    }
}
