//! What the columns of a file become: metrics of ours where they are such, else columns of one table that is called after the file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use barograph_model::{Described, Events, Kind, Metric, Physical, Table, Unit};
use barograph_store::{MONOTONIC, SpanTable, TIME};

use super::ReadError;
use super::source::{Column, Value, unique_names};

/// Texts that stand for a number that is not there.
const NO_NUMBERS: [&str; 12] = ["nan", "null", "none", "na", "n/a", "-", "", "inf", "-inf", "+inf", "infinity", "-infinity"];

/// What the cells of a column are, by reading all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Profile {
    whole: u64,
    fractions: u64,
    texts: u64,
    /// NaN, infinity, and words that mean that there is none.
    pub(crate) no_numbers: u64,
}

impl Profile {
    pub(crate) fn add(&mut self, value: Value<'_>) {
        match number(value) {
            Number::Whole(_) => self.whole += 1,
            Number::Fraction(_) => self.fractions += 1,
            Number::Missing => self.no_numbers += 1,
            Number::Text => self.texts += 1,
        }
    }

    /// How the column is kept, if it has any cell.
    fn physical(self) -> Option<Physical> {
        match self {
            Profile { texts: 1.., .. } => Some(Physical::Text),
            Profile { fractions: 1.., .. } => Some(Physical::Float),
            Profile { whole: 1.., .. } => Some(Physical::Int),
            _ => None,
        }
    }

    /// Whether there is a whole number in each of so many rows.
    pub(crate) fn is_whole_in(self, rows: u64) -> bool {
        self.whole == rows
    }

    pub(crate) fn is_empty(self) -> bool {
        self.physical().is_none()
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self.physical(), Some(Physical::Int | Physical::Float))
    }
}

/// A cell as a number, if it is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    Fraction(f64),
    Missing,
    Text,
}

pub(crate) fn number(value: Value<'_>) -> Number {
    match value {
        Value::Int(value) => Number::Whole(value),
        Value::Float(value) if value.is_finite() => Number::Fraction(value),
        Value::Float(_) => Number::Missing,
        Value::Raw(text) => {
            let Ok(text) = std::str::from_utf8(text) else { return Number::Text };
            let text = text.trim();
            if let Ok(value) = text.parse::<i64>() {
                return Number::Whole(value);
            }
            if text.len() <= 12 && NO_NUMBERS.contains(&text.to_ascii_lowercase().as_str()) {
                return Number::Missing;
            }
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Number::Fraction(value),
                Ok(_) => Number::Missing,
                Err(_) => Number::Text,
            }
        }
        Value::Text(_) | Value::Utc(_) | Value::Local(_) => Number::Text,
    }
}

/// How a cell is converted to the base unit of its metric.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Convert {
    /// It is in that already.
    #[default]
    As,
    Times(f64),
    /// It is by how much a counter grew since the row before.
    Grow(f64),
}

/// Where the cells of one column go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells {
    pub(crate) column: usize,
    pub(crate) metric: usize,
    pub(crate) convert: Convert,
    /// Whether it tells nothing at the beginning of a run.
    pub(crate) is_interval: bool,
}

/// A table of the recording, and what of the file becomes it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) table: &'static Table,
    pub(crate) cells: Vec<Cells>,
    /// Texts and numbers that stand in every row.
    pub(crate) texts: Vec<(usize, &'static str)>,
    pub(crate) ones: Vec<usize>,
}

/// What stands for the subject of a row that is the sum of several.
const ALL: &str = "all";

/// Every table that a recording of ours may have.
static DECLARED: LazyLock<Vec<&'static Table>> = LazyLock::new(barograph_sources::tables);

/// Names that a table of somebody's file does not get.
fn is_taken(name: &str) -> bool {
    DECLARED.iter().any(|table| table.name == name) || [SpanTable::TABLE.name, "damaged", "machine"].contains(&name)
}

/// The metrics of ours among these columns: by id, by `table.column`, or, in an export of one table, by their names alone.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    pub(crate) targets: Vec<Target>,
    /// Columns that are times or metrics of ours.
    pub(crate) known: Vec<bool>,
}

pub(crate) fn ours(columns: &[Column], times: &[usize]) -> Ours {
    let mut ours = Ours { targets: Vec::new(), known: vec![false; columns.len()] };
    for place in times {
        ours.known[*place] = true;
    }
    let monotonic = columns.iter().position(|column| column.name == MONOTONIC);
    let others: Vec<usize> = (0..columns.len()).filter(|place| !ours.known[*place] && Some(*place) != monotonic).collect();
    if let Some(marks) = marks(columns, &others) {
        ours.known[others[0]] = true;
        ours.targets.push(marks);
        return ours;
    }
    let whole = monotonic.and_then(|_| one_table(columns, &others));
    let mut ids: HashMap<String, (usize, usize)> = HashMap::new();
    for (number, table) in DECLARED.iter().enumerate() {
        ids.extend(table.metrics.iter().enumerate().map(|(metric, declared)| (declared.id(), (number, metric))));
    }
    let mut cells: Vec<Vec<Cells>> = vec![Vec::new(); DECLARED.len()];
    for place in others {
        let column = &columns[place];
        let of_table = whole.and_then(|table| Some((table, DECLARED[table].metrics.iter().position(|metric| metric.column() == column.name)?)));
        let by_id = || column.id.as_ref().and_then(|id| ids.get(id)).or_else(|| ids.get(&column.name)).copied();
        if let Some((table, metric)) = of_table.or_else(by_id)
            && cells[table].iter().all(|known| known.metric != metric)
        {
            cells[table].push(Cells { column: place, metric, convert: column.convert, is_interval: column.is_interval });
        }
    }
    for (table, cells) in cells.into_iter().enumerate() {
        let table = DECLARED[table];
        let missing: Vec<usize> = (0..table.keys).filter(|key| cells.iter().all(|cell| cell.metric != *key)).collect();
        // The sum over disks is a row of all; one of no process would be nobody's.
        if cells.is_empty() || !missing.is_empty() && (table.counted.is_none() || cells.iter().any(|cell| cell.metric < table.keys)) {
            continue;
        }
        let counted = table.metrics.iter().position(|metric| Some(metric.column().as_str()) == table.counted);
        let counted = counted.filter(|counted| !missing.is_empty() && cells.iter().all(|cell| cell.metric != *counted));
        for cell in &cells {
            ours.known[cell.column] = true;
        }
        let texts = missing.into_iter().filter(|key| table.metrics[*key].physical == Physical::Text).map(|key| (key, ALL)).collect();
        ours.targets.push(Target { table, cells, texts, ones: counted.into_iter().collect() });
    }
    if let Some(monotonic) = monotonic {
        ours.known[monotonic] = true;
    }
    ours
}

/// What `export --marks` writes: names of marks and their times, and nothing else.
fn marks(columns: &[Column], others: &[usize]) -> Option<Target> {
    let [name] = others else { return None };
    if columns[*name].name != "event" || columns.len() != 2 {
        return None;
    }
    let cells = vec![Cells { column: *name, metric: Events::name.index(), convert: Convert::As, is_interval: false }];
    Some(Target { table: Events::TABLE, cells, texts: vec![(Events::by.index(), "person")], ones: Vec::new() })
}

/// The one table of ours that has all these columns, if it can't be another.
fn one_table(columns: &[Column], others: &[usize]) -> Option<usize> {
    let fits = |table: &Table| {
        let names: Vec<String> = table.metrics.iter().map(Metric::column).collect();
        let has = |name: &String| others.iter().any(|place| columns[*place].name == *name);
        others.iter().all(|place| names.contains(&columns[*place].name)) && names[..table.keys].iter().all(has)
    };
    let fitting: Vec<usize> = (0..DECLARED.len()).filter(|table| fits(DECLARED[*table])).collect();
    let exact: Vec<usize> = fitting.iter().copied().filter(|table| DECLARED[*table].metrics.len() == others.len()).collect();
    match (fitting.as_slice(), exact.as_slice()) {
        ([one], _) | (_, [one]) if !others.is_empty() => Some(*one),
        _ => None,
    }
}

/// The table of all other columns, and those of them that count something, but not of one thing: of a `long` file nobody knows which row goes on with which.
pub(crate) fn of_the_file(
    path: &Path,
    columns: &[Column],
    known: &[bool],
    profiles: &[Profile],
    is_long: bool,
) -> Result<(Option<Target>, Vec<String>), ReadError> {
    let places: Vec<usize> = (0..columns.len()).filter(|place| !known[*place] && profiles[*place].physical().is_some()).collect();
    if places.is_empty() {
        return Ok((None, Vec::new()));
    }
    let (names, _) = unique_names([TIME, MONOTONIC].into_iter().map(str::to_owned).chain(places.iter().map(|place| columns[*place].name.clone())));
    let names = &names[2..];
    let (mut described, mut without_rate) = (Vec::new(), Vec::new());
    for (place, name) in places.iter().zip(names) {
        let physical = profiles[*place].physical().unwrap_or(Physical::Text);
        let mut metric = Guess::of(name, physical);
        // No two columns of a table have the same name.
        let column = metric.column();
        if column != *name && names.contains(&column) || described.iter().any(|known: &Guess| known.column() == column) {
            metric = Guess::plain(name, physical);
        }
        if columns[*place].convert != Convert::As {
            metric.convert = columns[*place].convert;
        }
        if is_long && metric.kind == Kind::Counter {
            metric.kind = Kind::Gauge;
            without_rate.push(name.clone());
        }
        described.push(metric);
    }
    let cells = places.iter().enumerate().map(|(metric, place)| Cells {
        column: *place,
        metric,
        convert: described[metric].convert,
        is_interval: columns[*place].is_interval,
    });
    let cells = cells.collect();
    let table = kept_table(&table_name(path), described)
        .ok_or_else(|| ReadError::unreadable(path, "so many different tables were opened that no more can be described; start the program again"))?;
    Ok((Some(Target { table, cells, texts: Vec::new(), ones: Vec::new() }), without_rate))
}

/// A name for a folder, of the name of the file.
fn table_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain: String = stem.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).take(LONGEST_TABLE_NAME).collect();
    let plain = plain.trim_matches('_');
    match plain {
        "" => "table".to_owned(),
        taken if is_taken(taken) => format!("{taken}_file"),
        free => free.to_owned(),
    }
}

const LONGEST_TABLE_NAME: usize = 64;

/// A column that somebody else named, as a metric.
#[derive(Clone, Debug, PartialEq)]
struct Guess {
    /// As the file has it.
    from: String,
    /// Without the suffix of its unit.
    name: String,
    kind: Kind,
    unit: Unit,
    physical: Physical,
    convert: Convert,
}

/// What a column's name may end in, and what that says of its unit.
const SUFFIXES: [(&str, Unit, f64); 31] = [
    ("_bytes", Unit::Bytes, 1.0),
    ("_kib", Unit::Bytes, 1024.0),
    ("_mib", Unit::Bytes, 1_048_576.0),
    ("_gib", Unit::Bytes, 1_073_741_824.0),
    ("_seconds", Unit::Seconds, 1.0),
    ("_secs", Unit::Seconds, 1.0),
    ("_sec", Unit::Seconds, 1.0),
    ("_s", Unit::Seconds, 1.0),
    ("_milliseconds", Unit::Seconds, 1e-3),
    ("_millis", Unit::Seconds, 1e-3),
    ("_msec", Unit::Seconds, 1e-3),
    ("_ms", Unit::Seconds, 1e-3),
    ("_microseconds", Unit::Seconds, 1e-6),
    ("_micros", Unit::Seconds, 1e-6),
    ("_usec", Unit::Seconds, 1e-6),
    ("_us", Unit::Seconds, 1e-6),
    ("_nanoseconds", Unit::Seconds, 1e-9),
    ("_nanos", Unit::Seconds, 1e-9),
    ("_nsec", Unit::Seconds, 1e-9),
    ("_ns", Unit::Seconds, 1e-9),
    ("_percent", Unit::Ratio, 1e-2),
    ("_pct", Unit::Ratio, 1e-2),
    ("%", Unit::Ratio, 1e-2),
    ("_ratio", Unit::Ratio, 1.0),
    ("_hertz", Unit::Hertz, 1.0),
    ("_hz", Unit::Hertz, 1.0),
    ("_khz", Unit::Hertz, 1e3),
    ("_mhz", Unit::Hertz, 1e6),
    ("_ghz", Unit::Hertz, 1e9),
    ("_kilohertz", Unit::Hertz, 1e3),
    ("_megahertz", Unit::Hertz, 1e6),
];

impl Guess {
    /// A number whose unit only the writer knows, or a text.
    fn plain(name: &str, physical: Physical) -> Guess {
        let (kind, unit) = if physical == Physical::Text { (Kind::Text, Unit::None) } else { (Kind::Gauge, Unit::Number) };
        Guess { from: name.to_owned(), name: name.to_owned(), kind, unit, physical, convert: Convert::As }
    }

    /// What a name says of itself, and no more. What is ambiguous, such as `_mb`, says nothing.
    fn of(from: &str, physical: Physical) -> Guess {
        let plain = Guess::plain(from, physical);
        if physical == Physical::Text {
            return plain;
        }
        let (name, kind) = cut(from, "_total").map_or((from, Kind::Gauge), |name| (name, Kind::Counter));
        let suffix = SUFFIXES.iter().find_map(|(suffix, unit, factor)| Some((cut(name, suffix)?, *unit, *factor)));
        let Some((name, unit, factor)) = suffix else { return Guess { kind, ..plain } };
        let convert = if factor == 1.0 { Convert::As } else { Convert::Times(factor) };
        // Whole bytes stay whole; all others are numbers with a fraction, as everywhere.
        let physical = if unit == Unit::Bytes { physical } else { Physical::Float };
        Guess { from: from.to_owned(), name: name.to_owned(), kind, unit, physical, convert }
    }

    fn column(&self) -> String {
        format!("{}{}", self.name, self.unit.suffix())
    }

    fn doc(&self) -> String {
        match self.convert {
            Convert::As => format!("Column {:?} of the file.", self.from),
            Convert::Times(factor) => format!("Column {:?} of the file, times {factor}.", self.from),
            Convert::Grow(_) => format!("The sum so far of column {:?} of the file.", self.from),
        }
    }
}

/// The name without this end, whatever its case, if something is left.
fn cut<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(end.len()).filter(|at| *at > 0 && name.is_char_boundary(*at))?;
    name[at..].eq_ignore_ascii_case(end).then(|| name[..at].trim_end()).filter(|left| !left.is_empty())
}

/// Memory that descriptions of tables may take in one process, and never give back: some hundred thousand columns.
const MOST_KEPT: usize = 64 << 20;

/// Descriptions that are there for good, by what they say. A table of the model lives as long as the program, as those do that the program declares; one
/// of a file does so too, once however often such files are opened.
#[derive(Default)]
struct Kept {
    tables: Vec<(String, Vec<Guess>, &'static Table)>,
    bytes: usize,
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

fn kept_table(name: &str, metrics: Vec<Guess>) -> Option<&'static Table> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, _, table)) = kept.tables.iter().find(|(known, columns, _)| known == name && *columns == metrics) {
        return Some(table);
    }
    kept.bytes += metrics.iter().map(|metric| 256 + 4 * metric.from.len()).sum::<usize>();
    if kept.bytes > MOST_KEPT {
        return None;
    }
    let leaked = |text: String| -> &'static str { text.leak() };
    let table = leaked(name.to_owned());
    let declared = metrics.iter().map(|metric| Metric {
        table,
        name: leaked(metric.name.clone()),
        kind: metric.kind,
        unit: metric.unit,
        physical: metric.physical,
        doc: leaked(metric.doc()),
        origin: "the file",
    });
    let declared: &'static [Metric] = declared.collect::<Vec<_>>().leak();
    let described =
        Table { name: table, doc: "Columns of a file that was opened.", origin: "the file", keys: 0, counted: None, whole: None, metrics: declared };
    let described: &'static Table = Box::leak(Box::new(described));
    kept.tables.push((name.to_owned(), metrics, described));
    Some(described)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_units_and_no_more() {
        let said = |name: &str, physical| {
            let metric = Guess::of(name, physical);
            (metric.column(), metric.kind.name(), metric.unit.name(), metric.convert)
        };
        let (int, float) = (Physical::Int, Physical::Float);
        assert_eq!(said("rss_bytes", int), ("rss_bytes".to_owned(), "gauge", "bytes", Convert::As));
        assert_eq!(said("CPU_Percent", float), ("CPU_ratio".to_owned(), "gauge", "ratio", Convert::Times(0.01)));
        assert_eq!(said("cpu_seconds_total", float), ("cpu_seconds".to_owned(), "counter", "seconds", Convert::As));
        assert_eq!(said("requests_total", int), ("requests_total".to_owned(), "counter", "number", Convert::As));
        assert_eq!(said("rss_mb", int), ("rss_mb".to_owned(), "gauge", "number", Convert::As), "megabytes of whom");
        assert_eq!(said("_bytes", int).2, "number");
        assert_eq!(said("wait_ms", Physical::Text), ("wait_ms".to_owned(), "text", "none", Convert::As));
    }

    #[test]
    fn a_description_is_kept_once() {
        let metrics = || vec![Guess::of("kept_once_bytes", Physical::Int)];
        let [first, second] = [(); 2].map(|()| kept_table("kept_once", metrics()).unwrap());
        assert!(std::ptr::eq(first, second));
        assert_eq!(first.metrics[0].id(), ["kept_once", "kept_once_bytes"].join("."));
    }

    #[test]
    fn a_table_of_a_file_never_takes_the_name_of_ours() {
        for table in DECLARED.iter() {
            assert!(!is_taken(&table_name(Path::new(&format!("a/{}.csv", table.name)))));
        }
        assert_eq!(["Tag 1 (Kopie).csv", "...", "spans.tsv"].map(|name| table_name(Path::new(name))), ["tag_1__kopie", "table", "spans_file"]);
    }
}
