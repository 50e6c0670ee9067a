//! Conditions: metrics over or under a threshold, seen at each tick. When one begins to hold, and when it does so no more, is an event of the recording.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use barograph_model::{Batch, Described, EventRow, Events, Field, Kind, Moment, Physical, Rows, Table, Unit};
use barograph_sources::{Cpu, Job, Memory, System, tables};

use crate::clock::nanos;

/// What is to be seen: `memory > 2 GiB for 10s`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As it was typed, without what is too much of spaces, and how much of that is without the time for which it must hold.
    text: String,
    name_bytes: usize,
    what: What,
    is_over: bool,
    /// Whether the threshold itself counts.
    inclusive: bool,
    threshold: f64,
    /// For how long it must hold, and then not hold, nothing less being worth a word.
    hold: Duration,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
enum What {
    /// A word for what matters most: of the job, or where there is none of the machine.
    Named(Name),
    /// A metric by its id, of the subject with this key; without one, the sum over the rows that count.
    Metric { table: &'static str, column: usize, key: Option<String> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Cpu,
    Memory,
    Threads,
    Processes,
}

const NAMES: [(&str, Name); 4] = [("cpu", Name::Cpu), ("memory", Name::Memory), ("threads", Name::Threads), ("processes", Name::Processes)];

/// What a threshold is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// Cores, or a share of the time.
    Cores,
    Bytes,
    Ratio,
    Seconds,
    Plain,
}

const BYTES: [(&str, f64); 10] = [
    ("", 1.0),
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1048576.0),
    ("GiB", 1073741824.0),
    ("TiB", 1099511627776.0),
];

const TIMES: [(&str, f64); 5] = [("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("m", 60.0), ("h", 3600.0)];

impl Scale {
    fn of(kind: Kind, unit: Unit) -> Scale {
        match (unit, kind) {
            (Unit::Bytes, _) => Scale::Bytes,
            (Unit::Ratio, _) => Scale::Ratio,
            (Unit::Seconds, Kind::Counter) => Scale::Cores,
            (Unit::Seconds, _) => Scale::Seconds,
            _ => Scale::Plain,
        }
    }

    /// The units that it may have, and what each is worth.
    fn units(self) -> &'static [(&'static str, f64)] {
        match self {
            Scale::Cores => &[("", 1.0), ("core", 1.0), ("cores", 1.0), ("%", 0.01)],
            Scale::Bytes => &BYTES,
            Scale::Ratio => &[("", 1.0), ("%", 0.01)],
            Scale::Seconds => &[("", 1.0), ("s", 1.0), ("ms", 1e-3), ("min", 60.0), ("h", 3600.0)],
            Scale::Plain => &[("", 1.0)],
        }
    }

    /// A value for people.
    fn say(self, value: f64) -> String {
        match self {
            Scale::Cores => format!("{value:.2} cores"),
            Scale::Bytes => {
                let (unit, worth) = BYTES[6..].iter().rev().find(|(_, worth)| value.abs() >= *worth).unwrap_or(&BYTES[1]);
                format!("{:.2} {unit}", value / worth)
            }
            Scale::Ratio => format!("{:.1} %", value * 100.0),
            Scale::Seconds => format!("{value:.3} s"),
            Scale::Plain => format!("{}", (value * 1000.0).round() / 1000.0),
        }
    }
}

impl What {
    fn parse(text: &str) -> Result<(What, Scale), String> {
        if let Some((_, name)) = NAMES.iter().find(|(word, _)| *word == text) {
            let scale = match name {
                Name::Cpu => Scale::Cores,
                Name::Memory => Scale::Bytes,
                Name::Threads | Name::Processes => Scale::Plain,
            };
            return Ok((What::Named(*name), scale));
        }
        let (id, key) = match text.split_once('[') {
            None => (text, None),
            Some((id, key)) => (id.trim_end(), Some(key.strip_suffix(']').ok_or_else(|| format!("{text:?} has no ] for its ["))?.to_owned())),
        };
        let found = tables().into_iter().find_map(|table| {
            let column = table.metrics.iter().position(|metric| metric.id() == id)?;
            Some((table, column))
        });
        let Some((table, column)) = found else {
            return Err(format!("there is no metric {id:?}; there are cpu, memory, threads, processes, and those of `barograph metrics`"));
        };
        let metric = &table.metrics[column];
        if !matches!(metric.kind, Kind::Counter | Kind::Gauge) {
            return Err(format!("{id} is no number that can be over or under another"));
        }
        if key.is_some() && table.keys == 0 {
            return Err(format!("{id} is that of the whole machine, or job: it has no [key]"));
        }
        Ok((What::Metric { table: table.name, column, key }, Scale::of(metric.kind, metric.unit)))
    }

    fn scale(&self) -> Scale {
        match self {
            What::Named(Name::Cpu) => Scale::Cores,
            What::Named(Name::Memory) => Scale::Bytes,
            What::Named(_) => Scale::Plain,
            What::Metric { table, column, .. } => {
                let metric = tables().into_iter().find(|known| known.name == *table).map(|table| &table.metrics[*column]);
                metric.map_or(Scale::Plain, |metric| Scale::of(metric.kind, metric.unit))
            }
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Condition, String> {
        let hint = "expected a metric, one of > >= < <=, and a threshold, as in 'memory > 2 GiB for 10s'";
        let place = text.find(['<', '>']).ok_or(hint)?;
        let (what, rest) = text.split_at(place);
        let is_over = rest.starts_with('>');
        let (inclusive, rest) = rest[1..].strip_prefix('=').map_or((false, &rest[1..]), |rest| (true, rest));
        let (value, hold) = rest.split_once(" for ").map_or((rest, None), |(value, hold)| (value, Some(hold)));
        let one_space = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        // A key may have any spaces in it.
        let mut text = format!("{} {}{} {}", what.trim(), if is_over { ">" } else { "<" }, if inclusive { "=" } else { "" }, one_space(value));
        let name_bytes = text.len();
        if let Some(hold) = hold {
            text += &format!(" for {}", one_space(hold));
        }
        let (what, scale) = What::parse(what.trim())?;
        let threshold = threshold(value.trim(), scale)?;
        let hold = hold.map_or(Ok(Duration::ZERO), |hold| time(hold.trim()))?;
        Ok(Condition { text, name_bytes, what, is_over, inclusive, threshold, hold })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Condition {
    /// It without the time for which it must hold: what its events are called.
    fn name(&self) -> &str {
        &self.text[..self.name_bytes]
    }

    fn holds(&self, value: f64) -> bool {
        let is_beyond = if self.is_over { value > self.threshold } else { value < self.threshold };
        is_beyond || self.inclusive && value == self.threshold
    }
}

/// A number and its unit.
fn threshold(text: &str, scale: Scale) -> Result<f64, String> {
    let end = text.find(|letter: char| !(letter.is_ascii_digit() || "+-.eE".contains(letter))).unwrap_or(text.len());
    // `1e` is a number without an exponent, and begins no unit that there is.
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().strip_suffix("/s").unwrap_or(unit.trim());
    let known = || scale.units().iter().map(|(unit, _)| *unit).filter(|unit| !unit.is_empty()).collect::<Vec<_>>().join(", ");
    let worth = scale.units().iter().find(|(name, _)| *name == unit).map(|(_, worth)| *worth);
    let worth = worth
        .ok_or_else(|| if known().is_empty() { format!("{text:?}: this has no unit") } else { format!("{text:?}: its unit may be {}", known()) })?;
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no number"))?;
    if number.is_finite() { Ok(number * worth) } else { Err(format!("{text:?} is no number")) }
}

/// A time such as `10s` or `1m30s`; a bare number is of seconds.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time such as 10s or 1m30s");
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = rest[end..].trim_start();
        let end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = if end == 0 { "s" } else { &rest[..end] };
        seconds += number * TIMES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        rest = rest[end..].trim_start();
    }
    if text.is_empty() { Err(wrong()) } else { Duration::try_from_secs_f64(seconds).map_err(|_| wrong()) }
}

/// Conditions that are looked at.
#[derive(Default)]
pub(crate) struct Conditions(Vec<Watched>);

/// A condition, and how it stands.
struct Watched {
    condition: Condition,
    scale: Scale,
    /// The table, the columns that are added up, and those that are taken away.
    table: &'static Table,
    plus: Vec<usize>,
    minus: Vec<usize>,
    is_counter: bool,
    key: Option<String>,
    /// Monotonic time of the last rows that were seen, and where they are counters, what each subject's was then.
    seen: i64,
    before: HashMap<u64, f64>,
    /// Since when it is otherwise than was said: it holds, or does so no more.
    turned: Option<Moment>,
    /// Since when it holds, as was said.
    held: Option<Moment>,
    /// The farthest beyond since it began to hold.
    extreme: f64,
}

impl Watched {
    fn new(condition: Condition, has_job: bool) -> Result<Watched, String> {
        fn of<T: Described, K, const N: usize>(fields: [Field<T, K>; N]) -> (&'static Table, Vec<usize>) {
            (T::TABLE, fields.iter().map(|field| field.index()).collect())
        }
        let mut minus = Vec::new();
        let (table, plus) = match &condition.what {
            What::Named(Name::Cpu) if has_job => of([Job::user, Job::system]),
            What::Named(Name::Cpu) => of([Cpu::user, Cpu::nice, Cpu::system, Cpu::irq, Cpu::softirq, Cpu::steal]),
            What::Named(Name::Memory) if has_job => of([Job::resident]),
            What::Named(Name::Memory) => {
                minus = of([Memory::available]).1;
                of([Memory::total])
            }
            What::Named(Name::Threads) if has_job => of([Job::threads]),
            What::Named(Name::Threads) => of([System::threads]),
            What::Named(Name::Processes) if has_job => of([Job::processes]),
            What::Named(Name::Processes) => return Err("the processes of the whole machine are not counted; a job's are".to_owned()),
            What::Metric { table, .. } if *table == Job::TABLE.name && !has_job => {
                return Err(format!("{condition}: there is no job, only the machine"));
            }
            What::Metric { table, column, .. } => {
                let table = tables().into_iter().find(|known| known.name == *table).ok_or("there is no such table")?;
                (table, vec![*column])
            }
        };
        let is_counter = table.metrics[plus[0]].kind == Kind::Counter;
        let key = if let What::Metric { key, .. } = &condition.what { key.clone() } else { None };
        let scale = condition.what.scale();
        let before = HashMap::new();
        Ok(Watched { condition, scale, table, plus, minus, is_counter, key, seen: i64::MIN, before, turned: None, held: None, extreme: 0.0 })
    }

    /// Looks at the rows that are new in this batch of its table.
    fn look(&mut self, batch: &Batch, events: &mut Rows<Events>) {
        let times = batch.monotonic_nanos();
        let mut row = times.iter().position(|time| *time > self.seen).unwrap_or(times.len());
        while row < times.len() {
            let end = (row..times.len()).find(|other| times[*other] != times[row]).unwrap_or(times.len());
            let value = if self.is_counter { self.rate(batch, row..end) } else { self.sum(batch, row..end) };
            self.seen = times[row];
            if let Some(value) = value {
                self.take(Moment { utc_nanos: batch.utc_nanos()[row], monotonic_nanos: times[row] }, value, events);
            }
            row = end;
        }
    }

    /// What these rows say together; `None` if none of them says anything.
    fn sum(&self, batch: &Batch, rows: Range<usize>) -> Option<f64> {
        self.values(batch, rows).map(|(_, value)| value).reduce(|sum, value| sum + value)
    }

    /// What counters have grown by in a second since the rows before: those of each subject that was there then too, as who comes or goes has not grown.
    /// One that fell was reset, and tells nothing.
    fn rate(&mut self, batch: &Batch, rows: Range<usize>) -> Option<f64> {
        let (at, then) = (batch.monotonic_nanos()[rows.start], self.seen);
        let (mut now, mut grown) = (HashMap::with_capacity(self.before.len()), None);
        for (row, value) in self.values(batch, rows) {
            let subject = self.subject(batch, row);
            if let Some(growth) = self.before.get(&subject).map(|before| value - before).filter(|growth| *growth >= 0.0) {
                grown = Some(grown.unwrap_or(0.0) + growth);
            }
            now.insert(subject, value);
        }
        self.before = now;
        grown.map(|grown| grown / ((at - then) as f64 / 1e9))
    }

    /// Those of these rows that count, and what each says.
    fn values<'a>(&'a self, batch: &'a Batch, rows: Range<usize>) -> impl Iterator<Item = (usize, f64)> + 'a {
        let counted = self.table.counted.and_then(|name| self.table.metrics.iter().position(|metric| metric.name == name));
        let is_it = move |row: &usize| match &self.key {
            Some(key) => self.is_of(key, batch, *row),
            None => counted.is_none_or(|counted| batch.columns()[counted].int(*row) == Some(1)),
        };
        rows.filter(is_it).filter_map(|row| Some((row, self.value(batch, row)?)))
    }

    /// What a row says. Without what is taken away there is no value.
    fn value(&self, batch: &Batch, row: usize) -> Option<f64> {
        let cell = |column: &usize| match self.table.metrics[*column].physical {
            Physical::Float => batch.columns()[*column].float(row),
            _ => batch.columns()[*column].int(row).map(|int| int as f64),
        };
        let sum = self.plus.iter().filter_map(cell).reduce(|sum, value| sum + value)?;
        self.minus.iter().try_fold(sum, |rest, column| Some(rest - cell(column)?))
    }

    /// Names the subject of a row: a hash of its keys.
    fn subject(&self, batch: &Batch, row: usize) -> u64 {
        let mut hash = DefaultHasher::new();
        for (metric, column) in self.table.key_metrics().iter().zip(batch.columns()) {
            match metric.physical {
                Physical::Text => column.text(row).hash(&mut hash),
                _ => column.int(row).hash(&mut hash),
            }
        }
        hash.finish()
    }

    /// Whether a row is of the subject with this key.
    fn is_of(&self, key: &str, batch: &Batch, row: usize) -> bool {
        let column = &batch.columns()[0];
        match self.table.metrics[0].physical {
            Physical::Text => column.text(row) == Some(key),
            _ => column.int(row).is_some_and(|int| key.parse() == Ok(int)),
        }
    }

    fn take(&mut self, at: Moment, value: f64, events: &mut Rows<Events>) {
        let holds = self.condition.holds(value);
        if holds && (self.turned.is_none() && self.held.is_none() || (value > self.extreme) == self.condition.is_over) {
            self.extreme = value;
        }
        if holds == self.held.is_some() {
            self.turned = None;
            return;
        }
        let turned = *self.turned.get_or_insert(at);
        if at.monotonic_nanos - turned.monotonic_nanos < nanos(self.condition.hold) {
            return;
        }
        self.turned = None;
        match self.held.take() {
            None => {
                self.held = Some(turned);
                self.say(turned, None, events);
            }
            Some(began) => self.say(turned, Some(began), events),
        }
    }

    /// Says that it began to hold, or that it has ended to.
    fn say(&self, at: Moment, began: Option<Moment>, events: &mut Rows<Events>) {
        let (name, condition) = (self.condition.name(), &self.condition.text);
        let mut attributes =
            serde_json::json!({ "condition": condition, "edge": if began.is_some() { "end" } else { "begin" }, "extreme": self.extreme });
        let extreme = self.scale.say(self.extreme);
        let (name, detail) = match began {
            None => (name.to_owned(), format!("now {extreme}")),
            Some(began) => {
                let lasted = (at.monotonic_nanos - began.monotonic_nanos) as f64 / 1e9;
                attributes["lasted_seconds"] = lasted.into();
                let farthest = if self.condition.is_over { "most" } else { "least" };
                (format!("{name} ended"), format!("after {lasted:.1} s, with at {farthest} {extreme}"))
            }
        };
        let (detail, attributes) = (Some(detail.as_str()), attributes.to_string());
        events.add(EventRow { at, by: "rule", name: Some(&name), detail, attributes: Some(&attributes), ..EventRow::default() });
    }
}

impl Conditions {
    /// These, each once, as nobody has looked at them yet; or why one of them can't be looked at here.
    pub(crate) fn new(conditions: &[Condition], has_job: bool) -> Result<Conditions, String> {
        let mut new: Vec<Watched> = Vec::with_capacity(conditions.len());
        for condition in conditions {
            if new.iter().all(|known| known.condition != *condition) {
                new.push(Watched::new(condition.clone(), has_job)?);
            }
        }
        Ok(Conditions(new))
    }

    /// Looks at these from now on. Those that were looked at before stand as they did.
    pub(crate) fn replace(&mut self, mut new: Conditions) {
        for watched in &mut new.0 {
            if let Some(place) = self.0.iter().position(|known| known.condition == watched.condition) {
                *watched = self.0.swap_remove(place);
            }
        }
        *self = new;
    }

    /// As they were typed.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.iter().map(|watched| watched.condition.text.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at the rows that are new in a batch.
    pub(crate) fn look(&mut self, batch: &Batch, events: &mut Rows<Events>) {
        for watched in self.0.iter_mut().filter(|watched| watched.table.is(batch.table())) {
            watched.look(batch, events);
        }
    }
}

#[cfg(test)]
mod tests {
    use barograph_sources::Disk;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn id<T: Described, K>(field: Field<T, K>) -> String {
        T::TABLE.metrics[field.index()].id()
    }

    fn conditions(text: &str) -> Conditions {
        Conditions::new(&[text.parse().unwrap()], true).unwrap()
    }

    /// What was said: the second, the name, and the detail.
    fn said(events: &Rows<Events>) -> Vec<(i64, String, String)> {
        let text = |name: &str, row: usize| events.column(name).unwrap().text(row).unwrap().to_owned();
        (0..events.len()).map(|row| (events.monotonic_nanos()[row] / SECOND, text("name", row), text("detail", row))).collect()
    }

    fn at(second: i64) -> Moment {
        Moment { utc_nanos: second * SECOND, monotonic_nanos: second * SECOND }
    }

    /// Looks at the memory of a job, in MiB, a value for each second.
    fn seen(text: &str, values: &[u64]) -> Vec<(i64, String, String)> {
        let (mut conditions, mut events, mut rows) = (conditions(text), Rows::new(), Rows::<Job>::new());
        for (second, value) in (1..).zip(values) {
            rows.row(at(second)).set(Job::resident, value << 20);
            conditions.look(&rows, &mut events);
            // Rows may be seen more than once before they are taken over.
            if second % 3 == 0 {
                rows.clear();
            }
        }
        said(&events)
    }

    fn event(second: i64, name: &str, detail: &str) -> (i64, String, String) {
        (second, name.to_owned(), detail.to_owned())
    }

    #[test]
    fn a_condition_can_be_said_again() {
        let name = format!("{}[a  for b]", id(Disk::read));
        for (typed, said, called) in [
            (" memory>  2   GiB   for  10s ", "memory > 2 GiB for 10s".to_owned(), "memory > 2 GiB".to_owned()),
            ("cpu <=150%", "cpu <= 150%".to_owned(), "cpu <= 150%".to_owned()),
            (&format!("{name} >= 3 MB/s for 1m 30s"), format!("{name} >= 3 MB/s for 1m 30s"), format!("{name} >= 3 MB/s")),
            (&format!("{name} > 3"), format!("{name} > 3"), format!("{name} > 3")),
        ] {
            let condition: Condition = typed.parse().unwrap();
            assert_eq!((condition.to_string(), condition.name()), (said, called.as_str()));
            assert_eq!(condition.to_string().parse(), Ok(condition));
        }
    }

    #[test]
    fn it_begins_and_ends_when_it_has_been_so_for_its_time() {
        let name = "memory > 100 MiB";
        let ended = "memory > 100 MiB ended";
        assert_eq!(
            seen("memory > 100 MiB", &[50, 150, 170, 100, 101]),
            [event(2, name, "now 150.00 MiB"), event(4, ended, "after 2.0 s, with at most 170.00 MiB"), event(5, name, "now 101.00 MiB"),]
        );
        // Short peaks and short dips are passed over; the moments are those at which it turned.
        let values = [150, 50, 150, 160, 170, 180, 50, 150, 60, 60, 60, 60];
        assert_eq!(
            seen("memory >  100MiB for 2s", &values),
            [event(3, "memory > 100MiB", "now 170.00 MiB"), event(9, "memory > 100MiB ended", "after 6.0 s, with at most 180.00 MiB")]
        );
        assert_eq!(seen("memory <= 0.05 GiB", &[80, 51, 40, 90])[1], event(4, "memory <= 0.05 GiB ended", "after 2.0 s, with at least 40.00 MiB"));
        assert_eq!(seen("memory > 1 TiB", &[1, 2, 3]), []);
    }

    #[test]
    fn counters_are_seen_by_what_they_grow_in_a_second() {
        let (mut conditions, mut events, mut rows) = (conditions("cpu >= 150%"), Rows::new(), Rows::<Job>::new());
        for (second, used) in [(1, 100.0), (2, 101.0), (4, 104.0), (5, 104.5), (6, 90.0), (7, 92.0)] {
            rows.row(at(second)).set(Job::user, used - 50.0).set(Job::system, 50.0);
            conditions.look(&rows, &mut events);
        }
        let expected = [
            event(4, "cpu >= 150%", "now 1.50 cores"),
            event(5, "cpu >= 150% ended", "after 1.0 s, with at most 1.50 cores"),
            event(7, "cpu >= 150%", "now 2.00 cores"),
        ];
        // A counter that falls was reset, and tells nothing.
        assert_eq!(said(&events), expected);
    }

    #[test]
    fn subjects_are_added_up_or_named() {
        let look = |text: &str| {
            let (mut conditions, mut events, mut rows) = (conditions(text), Rows::new(), Rows::<Disk>::new());
            for second in 1..4_u64 {
                for (device, each, counted) in [("sda", 1, 1), ("sdb", 2, 1), ("sda1", 100, 0)] {
                    let mut row = rows.row(at(second as i64));
                    row.text(Disk::device, device.as_bytes()).set(Disk::read, each * second * 1_000_000).set(Disk::counted, counted);
                }
            }
            conditions.look(&rows, &mut events);
            said(&events).iter().map(|event| event.2.clone()).collect::<Vec<_>>()
        };
        let read = id(Disk::read);
        assert_eq!(look(&format!("{read} > 2.5 MB/s")), ["now 2.86 MiB"]);
        assert_eq!(look(&format!("{read}[sdb] > 1 MB/s")), ["now 1.91 MiB"]);
        assert_eq!(look(&format!("{read}[sda1] > 99 MB")), ["now 95.37 MiB"]);
        assert_eq!(look(&format!("{read}[sdc] > 0")), [] as [&str; 0]);
    }

    #[test]
    fn who_comes_or_goes_has_not_grown() {
        let name = format!("{} > 2 MB/s", id(Disk::read));
        let (mut conditions, mut events, mut rows) = (conditions(&name), Rows::new(), Rows::<Disk>::new());
        // Megabytes read so far; each disk has a row now and then.
        let ticks = [&[("sda", 900)][..], &[("sdb", 5)], &[("sda", 902)], &[("sda", 903), ("sdb", 7)], &[("sda", 904), ("sdb", 9)], &[("sdb", 10)]];
        for (second, disks) in (1..).zip(ticks) {
            for (device, read) in disks {
                rows.row(at(second)).text(Disk::device, device.as_bytes()).set(Disk::read, read * 1_000_000).set(Disk::counted, 1);
            }
            conditions.look(&rows, &mut events);
            rows.clear();
        }
        assert_eq!(said(&events), [event(5, &name, "now 2.86 MiB"), event(6, &format!("{name} ended"), "after 1.0 s, with at most 2.86 MiB")]);
    }

    #[test]
    fn what_is_set_anew_stands_as_it_did() {
        let (mut watched, mut events, mut rows) = (conditions("memory > 1 MiB for 5s"), Rows::new(), Rows::<Job>::new());
        for second in 1..8 {
            rows.row(at(second)).set(Job::resident, 2 << 20);
            watched.look(&rows, &mut events);
            let texts = ["threads > 100", "memory > 1 MiB for 5s", "threads > 100"].map(|text| text.parse().unwrap());
            watched.replace(Conditions::new(&texts, true).unwrap());
        }
        assert_eq!(watched.texts(), ["threads > 100", "memory > 1 MiB for 5s"]);
        assert_eq!(said(&events), [event(1, "memory > 1 MiB", "now 2.00 MiB")]);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, why) in [
            ("memory", "expected a metric"),
            ("memory = 3", "expected a metric"),
            ("memroy > 3", "there is no metric \"memroy\""),
            ("memory > 2 parrots", "its unit may be B, kB"),
            ("memory > GiB", "is no number"),
            ("memory > 10%", "its unit may be B"),
            ("threads > 3 MiB", "has no unit"),
            ("cpu > 1 for ever", "is no time"),
            ("cpu > 1 for ", "is no time"),
            ("cpu > nan", "unit may be"),
            ("cpu > 1e999", "is no number"),
        ] {
            let told = text.parse::<Condition>().unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
        let device = id(Disk::device);
        assert!(format!("{device} > 1").parse::<Condition>().unwrap_err().contains("is no number that"));
        assert!(format!("{}[x] > 1", id(Job::threads)).parse::<Condition>().unwrap_err().contains("no [key]"));
        let here = |text: &str, has_job| Conditions::new(&[text.parse().unwrap()], has_job).err();
        assert!(here("processes > 1", false).unwrap().contains("not counted"));
        assert!(here(&format!("{} > 1", id(Job::threads)), false).unwrap().contains("no job"));
        for text in ["cpu > 1", "memory > 1 GiB", "threads > 5"] {
            assert_eq!((here(text, true), here(text, false)), (None, None), "{text}");
        }
        let said: Condition = "  cpu   >= 1.5   cores for  1m30s ".parse().unwrap();
        assert_eq!((said.to_string().as_str(), said.name(), said.hold), ("cpu >= 1.5 cores for 1m30s", "cpu >= 1.5 cores", Duration::from_secs(90)));
        assert_eq!(said.to_string().parse::<Condition>().unwrap(), said);
    }
}
