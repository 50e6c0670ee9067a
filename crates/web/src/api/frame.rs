//! Lines of a window as bytes: what takes most room is sent as the page's arrays have it.
//!
//! `BFR1`, the length of the header (u32), the header in JSON, zeros up to a multiple of 8, then float64s; all little-endian. In the header `x`, `mean`, `min` and
//! `max` of a line are `[offset, length]`, counted in float64s from the first of them. Lines that share their times share them here too.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use barograph_model::Described;
use barograph_sources::Process;
use barograph_view::{Gap, Key, Kind, Line, Lines, Spec, Summary, Unit, Window};
use serde::{Deserialize, Serialize};

use super::{Said, Shared, run_now, time, wait};
use crate::failure::{Answer, Failure};
use crate::library::millis;

/// The first bytes.
const MAGIC: &[u8; 4] = b"BFR1";

/// No screen has more columns.
const MOST_BUCKETS: usize = 8192;

/// Specs of one frame: all panels of a page are fewer.
const MOST_SPECS: usize = 256;

#[derive(Deserialize)]
pub(super) struct Asked {
    q: String,
}

/// What is asked of a frame.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameQuery {
    from: f64,
    to: f64,
    buckets: usize,
    specs: Vec<Spec>,
}

#[derive(Serialize)]
struct Header<'a> {
    from: f64,
    to: f64,
    lines: Vec<LineHeader<'a>>,
    gaps: &'a [Gap],
}

#[derive(Serialize)]
struct LineHeader<'a> {
    spec: usize,
    label: &'a str,
    kind: Kind,
    key: &'a [Key],
    unit: Unit,
    summary: Summary,
    x: Place,
    mean: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Place>,
}

/// Where an array stands, and how long it is, in numbers of 8 bytes.
type Place = [usize; 2];

pub(super) async fn frame(State(app): State<Shared>, Path(id): Path<String>, Said(asked): Said<Asked>) -> Answer<Response> {
    let query: FrameQuery = serde_json::from_str(&asked.q).map_err(|error| Failure::bad(format!("this makes no sense: {error}")))?;
    let window = window(&query)?;
    // What must wait for the reading of all processes takes nobody's turn meanwhile.
    let is_quick = query.specs.iter().all(|spec| spec.table != Process::TABLE.name);
    let of_all = Arc::clone(&app);
    let _turn = if is_quick { of_all.drawing.acquire().await.ok() } else { None };
    let bytes = wait(move || {
        let view = run_now(&app, &id)?.view()?;
        let lines = view.lines(&query.specs, whole(window, view.range()))?;
        Ok(encode(window, &lines))
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

fn window(query: &FrameQuery) -> Answer<Window> {
    let (from, to) = (time(Some(query.from), "from")?.unwrap_or_default(), time(Some(query.to), "to")?.unwrap_or_default());
    if from > to {
        return Err(Failure::bad("from lies after to"));
    }
    if query.specs.len() > MOST_SPECS {
        return Err(Failure::bad(format!("no more than {MOST_SPECS} specs are answered at once")));
    }
    Ok(Window { from, to, buckets: query.buckets.clamp(1, MOST_BUCKETS) })
}

/// So much of a time may be lost in the milliseconds of the page: they are floats.
const LOST_NANOS: u64 = 200;

/// The window, to the nanosecond where it begins or ends with the recording: else a float a little too small would leave out the last rows.
fn whole(window: Window, (first, last): (i64, i64)) -> Window {
    let nearly = |asked: i64, known: i64| if asked.abs_diff(known) <= LOST_NANOS { known } else { asked };
    Window { from: nearly(window.from, first), to: nearly(window.to, last), ..window }
}

/// The bytes of these lines.
pub(crate) fn encode(window: Window, lines: &Lines) -> Vec<u8> {
    let mut arrays = Arrays::default();
    let headers = lines.lines.iter().map(|line| arrays.header_of(line)).collect();
    let header = Header { from: millis(window.from), to: millis(window.to), lines: headers, gaps: &lines.gaps };
    // Numbers, texts and lists of such can be written.
    let header = serde_json::to_vec(&header).unwrap_or_default();
    let mut bytes = Vec::with_capacity(16 + header.len() + 8 * arrays.count);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&u32::try_from(header.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    for array in arrays.all {
        bytes.extend(array.iter().flat_map(|number| number.to_le_bytes()));
    }
    bytes
}

/// The arrays in the order in which they are written.
#[derive(Default)]
struct Arrays<'a> {
    all: Vec<&'a [f64]>,
    count: usize,
    /// The times of the line before, which are mostly those of the next one too.
    times: Option<(&'a [f64], Place)>,
}

impl<'a> Arrays<'a> {
    fn header_of(&mut self, line: &'a Line) -> LineHeader<'a> {
        let points = &line.points;
        let times: &'a [f64] = &points.x;
        let x = match self.times {
            Some((known, place)) if std::ptr::eq(known, times) => place,
            _ => self.add(times),
        };
        self.times = Some((times, x));
        let mean = self.add(&points.mean);
        let mut bound = |bound: &'a [f64]| (!bound.is_empty()).then(|| self.add(bound));
        let (min, max) = (bound(&points.min), bound(&points.max));
        LineHeader {
            spec: line.spec,
            label: &line.label,
            kind: line.kind,
            key: &line.key,
            unit: line.unit,
            summary: finite(line.summary),
            x,
            mean,
            min,
            max,
        }
    }

    fn add(&mut self, array: &'a [f64]) -> Place {
        let place = [self.count, array.len()];
        self.count += array.len();
        self.all.push(array);
        place
    }
}

/// JSON has no other numbers, and what is not known is absent.
fn finite(summary: Summary) -> Summary {
    let known = |number: Option<f64>| number.filter(|number| number.is_finite());
    Summary {
        mean: known(summary.mean),
        p95: known(summary.p95),
        peak: known(summary.peak),
        peak_at: known(summary.peak_at),
        total: known(summary.total),
        last: known(summary.last),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_view::Points;
    use serde_json::{Value, json};

    use super::*;

    const WINDOW: Window = Window { from: 1_795_166_400_000_000_000, to: 1_795_166_401_500_000_000, buckets: 3 };

    /// Reads a frame as the page does: the header, and the arrays by their places.
    fn decode(bytes: &[u8]) -> (Value, impl Fn(&Value) -> Vec<f64>) {
        assert_eq!(&bytes[..4], MAGIC);
        let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let begin = (8 + length).next_multiple_of(8);
        assert!(bytes[8 + length..begin].iter().all(|&byte| byte == 0));
        assert_eq!((bytes.len() - begin) % 8, 0);
        let numbers: Vec<f64> = bytes[begin..].chunks_exact(8).map(|eight| f64::from_le_bytes(eight.try_into().unwrap())).collect();
        let array = move |place: &Value| {
            let [from, length] = serde_json::from_value::<Place>(place.clone()).unwrap();
            numbers[from..from + length].to_vec()
        };
        (header, array)
    }

    fn line(label: &str, x: &Arc<Vec<f64>>, mean: &[f64], bounds: Option<(&[f64], &[f64])>) -> Line {
        let (min, max) = bounds.unwrap_or_default();
        Line {
            spec: 1,
            label: label.to_owned(),
            kind: Kind::Subject,
            key: vec![Key::Number(7), Key::Text("sda".to_owned())],
            unit: Unit::BytesPerSecond,
            points: Points { x: Arc::clone(x), mean: mean.to_vec(), min: min.to_vec(), max: max.to_vec() },
            summary: Summary { mean: Some(1.5), peak: Some(f64::NAN), ..Summary::default() },
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let x = Arc::new(vec![1.0, 2.0, 3.0]);
        let other = Arc::new(vec![1.0, 2.0, 3.0]);
        let lines = Lines {
            lines: vec![
                line("a \"b\" ü", &x, &[0.1, f64::NAN, -0.0], None),
                line("c", &x, &[4.0, 5.0, 6.0], Some((&[1.0, 2.0, 3.0], &[7.0, 8.0, f64::MAX]))),
                line("d", &other, &[9.0; 3], None),
                line("e", &Arc::default(), &[], None),
            ],
            gaps: vec![Gap { from: 1.0, to: 2.0, why: "suspended".to_owned() }],
        };
        let bytes = encode(WINDOW, &lines);
        let (header, array) = decode(&bytes);
        assert_eq!(header["from"], json!(1_795_166_400_000.0));
        assert_eq!(header["to"], json!(1_795_166_401_500.0));
        assert_eq!(header["gaps"], json!([{"from": 1.0, "to": 2.0, "why": "suspended"}]));
        let said = &header["lines"];
        assert_eq!(said[0]["label"], "a \"b\" ü");
        assert_eq!(said[0]["kind"], "subject");
        assert_eq!(said[0]["key"], json!([7, "sda"]));
        assert_eq!(said[0]["unit"], "bytes_per_second");
        assert_eq!(said[0]["summary"], json!({"mean": 1.5, "p95": null, "peak": null, "peakAt": null, "total": null, "last": null}));
        for (line, said) in lines.lines.iter().zip(said.as_array().unwrap()) {
            let same = |expected: &[f64], found: &[f64]| {
                assert_eq!(expected.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), found.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
            };
            same(&line.points.x, &array(&said["x"]));
            same(&line.points.mean, &array(&said["mean"]));
            assert_eq!(said.get("min").is_some(), !line.points.min.is_empty());
            if let (Some(min), Some(max)) = (said.get("min"), said.get("max")) {
                same(&line.points.min, &array(min));
                same(&line.points.max, &array(max));
            }
        }
        assert_eq!(said[0]["x"], said[1]["x"], "shared times are written once");
        assert_ne!(said[1]["x"], said[2]["x"]);
    }

    #[test]
    fn all_of_a_recording_is_all_of_it_though_times_are_floats() {
        let lost = (0..1000).map(|at| 1_795_275_265_573_733_763 + at * 1_000_037).filter(|&last| {
            let first = last - 6_712_777_777;
            let query = FrameQuery { from: millis(first), to: millis(last), buckets: 100, specs: Vec::new() };
            let asked = window(&query).unwrap();
            let held = whole(asked, (first, last));
            assert_eq!((held.from, held.to), (first, last));
            // What lies elsewhere stays where it is.
            let apart = whole(asked, (first - 1000, last + 1000));
            assert_eq!((apart.from, apart.to), (asked.from, asked.to));
            asked.to < last
        });
        assert!(lost.count() > 300, "a third of all ends at least would be left out");
    }

    #[test]
    fn a_frame_of_nothing_is_a_frame() {
        let (header, _) = decode(&encode(WINDOW, &Lines { lines: Vec::new(), gaps: Vec::new() }));
        assert_eq!(header["lines"], json!([]));
    }

    #[test]
    fn questions_without_sense_are_refused() {
        let asked = |text: &str| serde_json::from_str::<FrameQuery>(text).map_err(|error| error.to_string()).map(|query| window(&query));
        assert_eq!(asked(r#"{"from":1,"to":2,"buckets":100000000,"specs":[]}"#).unwrap().unwrap().buckets, MOST_BUCKETS);
        assert_eq!(asked(r#"{"from":1,"to":2,"buckets":0,"specs":[]}"#).unwrap().unwrap().buckets, 1);
        assert!(asked(r#"{"from":3,"to":2,"buckets":9,"specs":[]}"#).unwrap().is_err());
        assert!(asked(r#"{"from":1,"to":2,"buckets":9}"#).is_err());
        assert!(asked(r#"{"from":1,"to":2,"buckets":-1,"specs":[]}"#).is_err());
        assert!(asked(r#"{"from":null,"to":2,"buckets":9,"specs":[]}"#).is_err());
        assert!(asked(r#"{"from":1,"to":2,"buckets":9,"specs":[{"table":"cpu","plus":[],"or":1}]}"#).is_err());
    }
}
