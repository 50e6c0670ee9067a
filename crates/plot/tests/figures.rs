//! Whole figures, from lines made by hand: goldens of their SVG, what no figure may do, and that the same figure gives the same bytes.
//! `BLESS=1 cargo test -p barograph-plot` writes the goldens anew.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::Path;
use std::sync::Arc;

use barograph_plot::{Area, Clock, Figure, Look, Mark, Misfit, Part, Run, Shape, Shown, Size, Slice, Theme, figure};
use barograph_view::{Gap, Kind, Limit, Line, Lines, Panel, Points, Style, Summary, Unit};
use jiff::tz::TimeZone;
use proptest::prelude::*;

const START: f64 = 1_795_166_400_000.0;

fn line(label: &str, kind: Kind, unit: Unit, values: &[f64], every: f64) -> Line {
    let known = || values.iter().copied().filter(|value| value.is_finite());
    let many = known().count();
    let summary = Summary { mean: (many > 0).then(|| known().sum::<f64>() / many as f64), peak: known().reduce(f64::max), ..Summary::default() };
    let x = Arc::new((0..values.len()).map(|place| START + place as f64 * every).collect());
    Line { spec: 0, label: label.to_owned(), kind, key: Vec::new(), unit, points: Points { x, mean: values.to_vec(), ..Points::default() }, summary }
}

fn shown(id: &str, title: &str, unit: Unit, style: Style, lines: Vec<Line>, limits: Vec<Limit>, gaps: Vec<Gap>) -> Shown {
    let panel = Panel { id: id.to_owned(), title: title.to_owned(), help: String::new(), unit, style, specs: Vec::new(), limits, shown: true };
    let sum = lines.first().filter(|_| style == Style::Stack).map(|first| {
        let count = first.points.mean.len();
        let sums: Vec<f64> =
            (0..count).map(|place| lines.iter().map(|line| line.points.mean[place]).filter(|value| value.is_finite()).sum()).collect();
        Line { points: Points { mean: sums, ..first.points.clone() }, kind: Kind::Whole, ..first.clone() }
    });
    Shown { panel, total: sum.as_ref().map(|sum| sum.summary), lines: Lines { lines, gaps }, sum }
}

fn limit(label: &str, value: f64) -> Limit {
    Limit { label: label.to_owned(), value }
}

fn slice(name: &str, from: f64, to: f64, parent: Option<usize>) -> Slice {
    Slice { name: name.to_owned(), from: from * 1e3, to: to * 1e3, parent, failed: name.contains("fails") }
}

fn mark(at: f64, name: &str) -> Mark {
    Mark { at: at * 1e3, name: name.to_owned() }
}

/// Twenty seconds of two processes, with a gap of four.
fn job(name: &str, factor: f64) -> Run {
    let nan = f64::NAN;
    let known = |place: usize, value: f64| if (9..12).contains(&place) { nan } else { value * factor };
    let cpu: Vec<f64> = (0..21).map(|place| known(place, 1.0 + 0.05 * place as f64)).collect();
    let helper: Vec<f64> = (0..21).map(|place| if (5..16).contains(&place) { known(place, 0.8) } else { nan }).collect();
    let memory: Vec<f64> = (0..21).map(|place| known(place, 40e6 * place as f64)).collect();
    let read: Vec<f64> = (0..21).map(|place| known(place, if place % 5 == 0 { 30e6 } else { 0.0 })).collect();
    let gaps = vec![Gap { from: START + 8e3, to: START + 12e3, why: "suspended".to_owned() }];
    let subject = |label: &str, unit, values: &[f64]| line(label, Kind::Subject, unit, values, 1e3);
    Run {
        name: name.to_owned(),
        start: START,
        panels: vec![
            shown(
                "cpu-by-process",
                "CPU by process",
                Unit::Cores,
                Style::Stack,
                vec![subject("train <1> & \"co\" (4312)", Unit::Cores, &cpu), subject("loader (4313)", Unit::Cores, &helper)],
                vec![limit("cores", 4.0)],
                gaps.clone(),
            ),
            shown(
                "memory",
                "Memory",
                Unit::Bytes,
                Style::Lines,
                vec![line("used", Kind::Whole, Unit::Bytes, &memory, 1e3)],
                vec![limit("limit of the job", 900e6), limit("memory of the machine", 64e9)],
                gaps.clone(),
            ),
            shown("disk", "Disk", Unit::BytesPerSecond, Style::Lines, vec![subject("vda read", Unit::BytesPerSecond, &read)], Vec::new(), gaps),
        ],
        spans: vec![
            slice("epoch 1", 0.5, 9.0, None),
            slice("load", 0.5, 4.0, Some(0)),
            slice("train step", 4.0, 9.0, Some(0)),
            slice("epoch 2", 9.5, 20.0, None),
            slice("it fails", 9.5, 11.0, Some(3)),
        ],
        marks: vec![mark(4.0, "loaded"), mark(4.2, "warm"), mark(9.2, "checkpoint 1"), mark(19.9, "checkpoint 2")],
    }
}

fn look(size: &str, theme: Theme) -> Look {
    Look {
        size: size.parse().unwrap(),
        theme,
        title: "python train.py --name '<x>'".to_owned(),
        subtitle: "host · 8 cores, 32 GiB · 20 s".to_owned(),
        clock: Clock::Elapsed,
        time: (0.0, 20e3),
    }
}

fn heat() -> Run {
    let values = |core: usize| (0..21).map(|place| if place == 7 { f64::NAN } else { ((place + core * 3) % 10) as f64 / 9.0 }).collect::<Vec<_>>();
    let lines = (0..8).map(|core| line(&core.to_string(), Kind::Subject, Unit::Ratio, &values(core), 1e3)).collect();
    let cores = shown("cores", "Cores", Unit::Ratio, Style::Heat, lines, Vec::new(), Vec::new());
    let empty =
        shown("loss", "loss", Unit::Number, Style::Lines, vec![line("loss", Kind::Whole, Unit::Number, &[f64::NAN; 3], 1e3)], Vec::new(), Vec::new());
    let once =
        shown("once", "Seen once", Unit::Count, Style::Lines, vec![line("threads", Kind::Whole, Unit::Count, &[12.0], 1e3)], Vec::new(), Vec::new());
    Run { name: "heat".to_owned(), start: START, panels: vec![cores, empty, once], spans: Vec::new(), marks: Vec::new() }
}

fn check(name: &str, runs: &[Run], look: &Look) -> Figure {
    let figure = figure(runs, look).unwrap();
    let svg = figure.svg();
    assert_is_sound(&figure);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.svg"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &svg).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == svg, "{} is not what is drawn now; look at both, and BLESS=1 writes it anew", path.display());
    figure
}

/// Every point that a shape has, as areas.
fn extent(shape: &Shape) -> Vec<Area> {
    let points = |lines: &Vec<Vec<(f64, f64)>>| lines.iter().flatten().map(|(x, y)| Area { x: *x, y: *y, width: 0.0, height: 0.0 }).collect();
    match shape {
        Shape::Rect { area, .. } => vec![*area],
        Shape::Lines { lines, .. } => points(lines),
        Shape::Fill { outlines, .. } => points(outlines),
        Shape::Text(text) => vec![text.area()],
    }
}

/// What holds of every figure: values stay within their panels, nothing leaves the sheet, no text covers another, and it is XML.
fn assert_is_sound(figure: &Figure) {
    let sheet = Area { x: 0.0, y: 0.0, width: figure.width, height: figure.height };
    let mut texts: Vec<(Part, &str, Area)> = Vec::new();
    for (part, shape) in &figure.shapes {
        for area in extent(shape) {
            assert!([area.x, area.y, area.width, area.height].iter().all(|number| number.is_finite()), "{part:?} {shape:?}");
            assert!(sheet.contains(&area), "{part:?} leaves the sheet of {} by {}: {area:?} {shape:?}", figure.width, figure.height);
            if let Part::Plot(number) = part {
                assert!(figure.plots[*number].contains(&area), "{part:?} leaves {:?}: {area:?}", figure.plots[*number]);
            }
        }
        if let Shape::Text(text) = shape {
            texts.push((*part, &text.content, text.area()));
        }
    }
    for (number, (part, said, area)) in texts.iter().enumerate() {
        for (other_part, other, other_area) in &texts[..number] {
            // Letters stand on lines: what counts is the height of small ones.
            let tight = |area: &Area| Area { y: area.y + area.height * 0.2, height: area.height * 0.6, ..*area };
            assert!(!tight(area).overlaps(&tight(other_area)), "{said:?} of {part:?} covers {other:?} of {other_part:?}: {area:?} {other_area:?}");
        }
    }
    roxmltree::Document::parse(&figure.svg()).unwrap();
}

#[test]
fn a_job_with_spans_marks_limits_and_a_gap() {
    let figure = check("job", &[job("run", 1.0)], &look("1000x700", Theme::Light));
    let svg = figure.svg();
    assert!(
        svg.contains("train &lt;1&gt; &amp; &quot;co&quot; (4312)")
            && svg.contains("limit of the job 858 MiB")
            && svg.contains("memory of the machine 59.6 GiB")
    );
    assert!(!svg.contains("id=") && !svg.contains("href"), "nothing that could be another's in the same page");
}

#[test]
fn paper_dark_and_a_narrow_column() {
    let paper = check("paper", &[job("run", 1.0)], &look("180mmx140mm", Theme::Print));
    assert!(paper.svg().contains("width=\"180mm\" height=\"140mm\"") && paper.ground.is_none());
    check("dark", &[job("run", 1.0)], &look("900", Theme::Dark));
    check("narrow", &[job("run", 1.0)], &look("85mmx100mm", Theme::Print));
}

#[test]
fn two_runs_lie_over_each_other() {
    let svg = check("two", &[job("before", 1.0), job("after", 0.6)], &look("1000x700", Theme::Light)).svg();
    assert!(svg.contains(">CPU<") && svg.contains(">before<") && svg.contains(">after<"), "of a stack, each run is its sum");
}

#[test]
fn the_gap_of_one_run_is_hatched_in_its_colour_where_another_goes_on() {
    let mut whole = job("whole", 0.6);
    whole.panels.iter_mut().for_each(|shown| shown.lines.gaps.clear());
    let hatches = |runs: &[Run]| {
        let figure = figure(runs, &look("1000x700", Theme::Light)).unwrap();
        let plot = figure.plots[0];
        let x = |seconds: f64| plot.x + seconds / 20.0 * plot.width;
        let is_hatch = |lines: &Vec<Vec<(f64, f64)>>| {
            lines.len() > 5 && lines.iter().all(|line| line.len() == 2 && line.iter().all(|point| point.0 >= x(7.99) && point.0 <= x(12.01)))
        };
        let stroke = |(part, shape): &(Part, Shape)| match shape {
            Shape::Lines { lines, stroke } if *part == Part::Plot(0) && is_hatch(lines) => Some(stroke.colour),
            _ => None,
        };
        figure.shapes.iter().filter_map(stroke).collect::<Vec<_>>()
    };
    let (alone, one, both) =
        (hatches(&[job("torn", 1.0)]), hatches(&[job("torn", 1.0), whole.clone()]), hatches(&[job("torn", 1.0), job("other", 0.6)]));
    assert_eq!((alone.len(), one.len(), both.len(), hatches(&[whole.clone(), whole]).len()), (1, 1, 2, 0));
    assert!(alone[0] != one[0] && both[0] == one[0] && both[0] != both[1]);
}

#[test]
fn a_terminal_with_colours_has_the_page_s() {
    let text = barograph_plot::terminal(&[job("run", 1.0)], &look("1200", Theme::Dark), 72, true).replace('\x1b', "␛");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/terminal.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(text.contains("␛[38;2;") || text.contains("␛[38;5;") || text.contains("␛[3"), "{text}");
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "BLESS=1 writes it anew");
}

#[test]
fn cells_no_values_and_a_single_one() {
    let mut look = look("900", Theme::Light);
    look.clock = Clock::Zone(TimeZone::get("Europe/Berlin").unwrap(), START);
    let svg = check("heat", &[heat()], &look).svg();
    assert!(svg.contains("no values in this time") && svg.contains("Europe/Berlin"));
}

#[test]
fn a_gap_is_hatched_and_no_value_is_drawn_in_it() {
    let figure = figure(&[job("run", 1.0)], &look("1000x700", Theme::Light)).unwrap();
    let plot = figure.plots[0];
    let x = |seconds: f64| plot.x + seconds / 20.0 * plot.width;
    let within = |area: &Area| area.x > x(8.01) && area.right() < x(11.99);
    let mut hatched = false;
    for (part, shape) in figure.shapes.iter().filter(|(part, _)| *part == Part::Plot(0)) {
        let has_point_within = extent(shape).iter().any(within);
        match shape {
            Shape::Fill { .. } => assert!(!has_point_within, "{part:?} {shape:?}"),
            Shape::Lines { stroke, .. } if stroke.dash.is_empty() && has_point_within => hatched = true,
            _ => {}
        }
    }
    assert!(hatched);
}

#[test]
fn spans_are_bands_unless_they_would_lie_upon_each_other() {
    let bands = |run: Run| {
        let figure = figure(&[run], &look("1000x700", Theme::Light)).unwrap();
        let is_band = |(part, shape): &&(Part, Shape)| matches!((part, shape), (Part::Frame(0), Shape::Rect { opacity, .. }) if *opacity < 0.2);
        figure.shapes.iter().filter(is_band).count()
    };
    assert_eq!(bands(job("run", 1.0)), 2, "two epochs");
    let mut workers = job("run", 1.0);
    workers.spans.push(slice("another worker", 10.0, 15.0, None));
    assert_eq!(bands(workers), 0);
    let mut whole = job("run", 1.0);
    whole.spans = vec![
        slice("main", 0.0, 20.0, None),
        slice("first", 0.0, 8.0, Some(0)),
        slice("second", 8.0, 13.0, Some(0)),
        slice("third", 13.0, 20.0, Some(0)),
    ];
    assert_eq!(bands(whole), 3, "of what is all there is, what it consists of");
}

#[test]
fn the_same_figure_is_the_same_bytes_and_its_peak_is_where_it_was() {
    let draw = || figure(&[job("run", 1.0)], &look("600x500", Theme::Light)).unwrap();
    let (one, other) = (draw(), draw());
    assert_eq!(one.svg(), other.svg());
    let (png, again) = (one.png(96.0).unwrap(), other.png(96.0).unwrap());
    assert!(png == again && png.starts_with(b"\x89PNG"));
    let (pdf, again) = (one.pdf().unwrap(), other.pdf().unwrap());
    assert!(pdf == again && pdf.starts_with(b"%PDF"));
    assert_eq!(png[16..24], [0, 0, 2, 88, 0, 0, 1, 244], "600 by 500 pixels");
    // 1.4 cores of one at 8 s, 0.8 of the other above: the top of the stack is at 2.2 of the axis.
    let top = one.shapes.iter().filter(|(part, _)| *part == Part::Plot(0)).filter_map(|(_, shape)| match shape {
        Shape::Fill { outlines, .. } => outlines.iter().flatten().map(|(_, y)| *y).reduce(f64::min),
        _ => None,
    });
    let top = top.fold(f64::INFINITY, f64::min);
    let axis = |value: f64| one.plots[0].bottom() - value / (4.0 * 1.06) * one.plots[0].height;
    assert!((top - axis(1.75 + 0.8).min(axis(2.0))).abs() < 0.2, "{top} {}", axis(2.55));
}

/// The SVG as another program draws it, in the same font.
fn drawn_by_others(figure: &Figure) -> Vec<u8> {
    use resvg::{tiny_skia, usvg};
    let mut options = usvg::Options::default();
    options.fontdb_mut().load_font_data(notosans::REGULAR_TTF.to_vec());
    options.fontdb_mut().load_font_data(notosans::BOLD_TTF.to_vec());
    let tree = usvg::Tree::from_str(&figure.svg(), &options).unwrap();
    let mut pixels = tiny_skia::Pixmap::new(figure.width as u32, figure.height as u32).unwrap();
    pixels.fill(tiny_skia::Color::WHITE);
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    pixels.data().to_vec()
}

#[test]
fn png_shows_what_the_svg_shows() {
    for theme in [Theme::Light, Theme::Dark, Theme::Print] {
        for run in [job("run", 1.0), heat()] {
            let figure = figure(&[run], &look("900x700", theme)).unwrap();
            let ours = resvg::tiny_skia::Pixmap::decode_png(&figure.png(96.0).unwrap()).unwrap();
            let theirs = drawn_by_others(&figure);
            let pixels = ours.data().chunks(4).zip(theirs.chunks(4));
            // Edges may differ by a little, and letters where pairs are set closer.
            let differ = pixels.filter(|(ours, theirs)| ours.iter().zip(*theirs).any(|(a, b)| a.abs_diff(*b) > 100)).count();
            let share = differ as f64 / (900.0 * 700.0);
            assert!(share < 0.005, "{:.3} % of the pixels differ", share * 100.0);
        }
    }
}

#[test]
fn what_has_no_room_says_so() {
    assert_eq!(figure(&[job("run", 1.0)], &look("30mmx20mm", Theme::Light)).unwrap_err(), Misfit::Small);
    let error = figure(&[job("run", 1.0)], &look("100mmx45mm", Theme::Light)).unwrap_err();
    assert!(matches!(error, Misfit::Panels { room: 1, asked: 3 }), "{error}");
}

/// A run of anything.
fn any_run() -> impl Strategy<Value = Run> {
    let value = prop_oneof![Just(f64::NAN), Just(0.0), 0.0..10.0_f64, 0.0..1e12_f64];
    let values = prop::collection::vec(value, 12);
    let lines = prop::collection::vec(("\\PC{0,40}", values), 0..14);
    let style = prop_oneof![Just(Style::Stack), Just(Style::Lines), Just(Style::Heat)];
    let unit = prop_oneof![Just(Unit::Cores), Just(Unit::Bytes), Just(Unit::Ratio), Just(Unit::Number), Just(Unit::PerSecond), Just(Unit::Seconds)];
    let panel = (style, unit, lines, prop::option::of(0.0..1e12_f64)).prop_map(|(style, unit, lines, top)| {
        let lines = lines.into_iter().map(|(label, values)| line(&label, Kind::Subject, unit, &values, 2e3)).collect();
        let limits = top.map(|value| limit("a limit", value)).into_iter().collect();
        shown("any", "Any panel", unit, style, lines, limits, vec![Gap { from: START + 4e3, to: START + 7e3, why: String::new() }])
    });
    let spans = prop::collection::vec(("\\PC{1,30}", 0.0..25.0_f64, 0.0..12.0_f64, prop::option::of(0_usize..10)), 0..40);
    let marks = prop::collection::vec((-2.0..22.0_f64, "[a-zA-Z0-9 ]{1,40}"), 0..45);
    (prop::collection::vec(panel, 1..4), spans, marks).prop_map(|(mut panels, mut spans, mut marks)| {
        spans.sort_by(|a, b| a.1.total_cmp(&b.1));
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        panels.iter_mut().enumerate().for_each(|(number, shown)| shown.panel.id = format!("any-{number}"));
        let slices = spans.into_iter().map(|(name, from, long, parent)| slice(&name, from, from + long, parent)).collect();
        Run { name: "any".to_owned(), start: START, panels, spans: slices, marks: marks.into_iter().map(|(at, name)| mark(at, &name)).collect() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Nothing leaves its place, no text covers another, whatever is drawn.
    #[test]
    fn every_figure_is_sound(run in any_run(), size in prop_oneof![Just("1200"), Just("900x700"), Just("180mm"), Just("85mm"), Just("320x480")]) {
        match figure(&[run], &look(size, Theme::Light)) {
            Ok(figure) => assert_is_sound(&figure),
            Err(Misfit::Panels { .. }) => {}
            Err(error) => prop_assert!(size.contains('x'), "{}", error),
        }
    }

    /// Whatever a terminal shows fits in it and has no control but colours.
    #[test]
    fn every_terminal_has_room(run in any_run(), width in 40_usize..200) {
        let text = barograph_plot::terminal(&[run], &look("1200", Theme::Light), width, false);
        for line in text.lines() {
            prop_assert!(barograph_view::text::columns(line) <= width, "{:?}", line);
            prop_assert!(!line.contains(char::is_control), "{:?}", line);
        }
    }
}

#[test]
fn size_of_letters_is_that_of_the_medium() {
    assert!("180mm".parse::<Size>().unwrap().letters() < "1200".parse::<Size>().unwrap().letters());
}
