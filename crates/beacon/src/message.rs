//! What is sent: a line of JSON, as docs/beacon.md says.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use crate::limits::{ATTRIBUTES_BYTES, NAME_BYTES, cut};

/// Names a span, in the recording and wherever else it is spoken of: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub u64);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SpanId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<SpanId, Self::Err> {
        u64::from_str_radix(text, 16).map(SpanId)
    }
}

/// What an attribute says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Str(&'a str),
    /// A whole number.
    Int(i64),
    /// A number. One that is not finite is told as `null`.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

macro_rules! from {
    ($($Type:ty => $Variant:ident,)+) => {$(
        impl From<$Type> for Value<'_> {
            fn from(value: $Type) -> Self {
                Value::$Variant(value.into())
            }
        }
    )+};
}

from! { i8 => Int, i16 => Int, i32 => Int, i64 => Int, u8 => Int, u16 => Int, u32 => Int, f32 => Float, f64 => Float, bool => Bool, }

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Value::Float(value as f64), Value::Int)
    }
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        (value as u64).into()
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Str(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Str(value)
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status<'a> {
    /// As it should.
    #[default]
    Ok,
    /// By an error, described in words.
    Error(&'a str),
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What<'a> {
    /// This moment has this name.
    Mark(&'a str),
    /// A span begins.
    Begin {
        /// What it is called.
        name: &'a str,
        /// Its id.
        span: SpanId,
        /// The span within which it begins.
        parent: Option<SpanId>,
    },
    /// A span ends.
    End {
        /// Its id.
        span: SpanId,
        /// How.
        status: Status<'a>,
    },
    /// The program's own number of this name is now so.
    Gauge {
        /// What it is called.
        name: &'a str,
        /// The number; one that is not finite is kept as absent.
        value: f64,
    },
}

/// What the sender can tell exactly of what it has used up to the moment of a span's edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// CPU time of the thread, in nanoseconds.
    pub thread_cpu_nanos: Option<u64>,
    /// CPU time of the process, in nanoseconds.
    pub process_cpu_nanos: Option<u64>,
    /// RAM of the process, in bytes.
    pub resident_bytes: Option<u64>,
    /// Bytes that the process has read from anywhere: `rchar` of proc_pid_io(5).
    pub read_bytes: Option<u64>,
    /// Bytes that the process has written to anywhere: `wchar`.
    pub written_bytes: Option<u64>,
    /// Page faults of the process without reading from a disk.
    pub minor_faults: Option<u64>,
    /// Page faults of the process that read from a disk.
    pub major_faults: Option<u64>,
}

/// A message before it is a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Message<'a> {
    /// What it says.
    pub what: What<'a>,
    /// When it happened, in nanoseconds of CLOCK_MONOTONIC; `None` for when it arrives.
    pub at: Option<i64>,
    /// The process that it concerns, if that is not the sender.
    pub pid: Option<u32>,
    /// The thread.
    pub thread: Option<u32>,
    /// Who says it: `person` or `rule`; `None` for the program.
    pub by: Option<&'a str>,
    /// More about a mark, in words.
    pub detail: Option<&'a str>,
    /// How many seconds it lasted that a mark names; `None` for a moment.
    pub duration: Option<f64>,
    /// What else there is to say of a mark, or of the begin of a span. Of two with the same name, readers take the latter.
    pub attributes: &'a [(&'a str, Value<'a>)],
    /// What the sender has used so far, at an edge of a span.
    pub readings: Readings,
}

impl<'a> Message<'a> {
    /// A message that says just this.
    pub fn new(what: What<'a>) -> Message<'a> {
        Message { what, at: None, pid: None, thread: None, by: None, detail: None, duration: None, attributes: &[], readings: Readings::default() }
    }

    /// Writes it as a line, with the newline.
    pub fn write(&self, line: &mut Vec<u8>) {
        match self.what {
            What::Mark(name) => text(line, b"{\"mark\":", name, NAME_BYTES),
            What::Begin { name, span, parent } => {
                text(line, b"{\"begin\":", name, NAME_BYTES);
                id(line, b",\"span\":", span);
                if let Some(parent) = parent {
                    id(line, b",\"parent\":", parent);
                }
            }
            What::End { span, status } => {
                id(line, b"{\"end\":", span);
                if let Status::Error(why) = status {
                    line.extend_from_slice(b",\"status\":\"error\"");
                    text(line, b",\"detail\":", why, NAME_BYTES);
                }
            }
            What::Gauge { name, value } => {
                text(line, b"{\"gauge\":", name, NAME_BYTES);
                line.extend_from_slice(b",\"value\":");
                float(line, value);
            }
        }
        // A clock that says less than nothing is none.
        number(line, b",\"t\":", self.at.and_then(|at| u64::try_from(at).ok()));
        number(line, b",\"pid\":", self.pid.map(u64::from));
        number(line, b",\"tid\":", self.thread.map(u64::from));
        if let Some(by) = self.by {
            text(line, b",\"by\":", by, NAME_BYTES);
        }
        if let Some(detail) = self.detail {
            text(line, b",\"detail\":", detail, NAME_BYTES);
        }
        if let Some(duration) = self.duration {
            line.extend_from_slice(b",\"duration\":");
            float(line, duration);
        }
        self.readings.write(line);
        self.write_attributes(line);
        line.extend_from_slice(b"}\n");
    }

    fn write_attributes(&self, line: &mut Vec<u8>) {
        if self.attributes.is_empty() {
            return;
        }
        let before = line.len();
        line.extend_from_slice(b",\"attributes\":");
        let begin = line.len();
        for (index, (name, value)) in self.attributes.iter().enumerate() {
            text(line, if index == 0 { b"{" } else { b"," }, name, NAME_BYTES);
            line.push(b':');
            match *value {
                Value::Str(value) => text(line, b"", value, NAME_BYTES),
                // Formatting into memory does not fail.
                Value::Int(value) => _ = write!(line, "{value}"),
                Value::Float(value) => float(line, value),
                Value::Bool(value) => line.extend_from_slice(if value { b"true" } else { b"false" }),
            }
        }
        line.push(b'}');
        if line.len() - begin > ATTRIBUTES_BYTES {
            line.truncate(before);
        }
    }
}

impl Readings {
    fn write(&self, line: &mut Vec<u8>) {
        number(line, b",\"cpu\":", self.thread_cpu_nanos);
        number(line, b",\"process_cpu\":", self.process_cpu_nanos);
        number(line, b",\"rss\":", self.resident_bytes);
        number(line, b",\"read\":", self.read_bytes);
        number(line, b",\"written\":", self.written_bytes);
        number(line, b",\"minor_faults\":", self.minor_faults);
        number(line, b",\"major_faults\":", self.major_faults);
    }
}

fn number(line: &mut Vec<u8>, key: &[u8], value: Option<u64>) {
    let Some(mut value) = value else { return };
    line.extend_from_slice(key);
    let (mut digits, mut first) = ([b'0'; 20], 20);
    while value > 0 || first == 20 {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    line.extend_from_slice(&digits[first..]);
}

fn float(line: &mut Vec<u8>, value: f64) {
    // Formatting into memory does not fail.
    let _ = if value.is_finite() { write!(line, "{value:?}") } else { write!(line, "null") };
}

fn id(line: &mut Vec<u8>, key: &[u8], span: SpanId) {
    line.extend_from_slice(key);
    line.push(b'"');
    line.extend((0..16).rev().map(|digit| b"0123456789abcdef"[(span.0 >> (4 * digit)) as usize & 15]));
    line.push(b'"');
}

/// A text as JSON. One that is too long is cut.
fn text(line: &mut Vec<u8>, key: &[u8], text: &str, at_most: usize) {
    line.extend_from_slice(key);
    line.push(b'"');
    escape(line, &cut(text, at_most));
    line.push(b'"');
}

fn escape(line: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(place) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        line.extend_from_slice(&rest[..place]);
        match rest[place] {
            special @ (b'"' | b'\\') => line.extend_from_slice(&[b'\\', special]),
            control => _ = write!(line, "\\u{control:04x}"),
        }
        rest = &rest[place + 1..];
    }
    line.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: Message<'_>) -> String {
        let mut line = Vec::new();
        message.write(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn lines_as_documented() {
        assert_eq!(line(Message::new(What::Mark("half \"way\"\n\0"))), "{\"mark\":\"half \\\"way\\\"\\u000a\\u0000\"}\n");
        let begin = Message {
            at: Some(12),
            thread: Some(7),
            attributes: &[("file", Value::Str("a.csv")), ("rows", Value::Int(-3)), ("share", Value::Float(0.5)), ("last", Value::Bool(true))],
            readings: Readings { thread_cpu_nanos: Some(0), resident_bytes: Some(u64::MAX), ..Readings::default() },
            ..Message::new(What::Begin { name: "load", span: SpanId(0xab), parent: Some(SpanId(1)) })
        };
        assert_eq!(
            line(begin),
            "{\"begin\":\"load\",\"span\":\"00000000000000ab\",\"parent\":\"0000000000000001\",\"t\":12,\"tid\":7,\"cpu\":0,\
             \"rss\":18446744073709551615,\"attributes\":{\"file\":\"a.csv\",\"rows\":-3,\"share\":0.5,\"last\":true}}\n"
        );
        let end = Message::new(What::End { span: SpanId(0xab), status: Status::Error("no file") });
        assert_eq!(line(end), "{\"end\":\"00000000000000ab\",\"status\":\"error\",\"detail\":\"no file\"}\n");
        assert_eq!(line(Message::new(What::Gauge { name: "loss", value: 1e300 })), "{\"gauge\":\"loss\",\"value\":1e300}\n");
        assert_eq!(line(Message::new(What::Gauge { name: "loss", value: f64::NAN })), "{\"gauge\":\"loss\",\"value\":null}\n");
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_character_or_left_out() {
        let long = "é".repeat(1_000_000);
        let cut = line(Message::new(What::Mark(&long)));
        assert_eq!(cut.len(), "{\"mark\":\"\"}\n".len() + NAME_BYTES - 1);
        assert!(cut.ends_with("é…\"}\n"));
        let attributes: Vec<_> = (0..5).map(|_| ("a", Value::Str(&long))).collect();
        assert_eq!(line(Message { attributes: &attributes, ..Message::new(What::Mark("m")) }), "{\"mark\":\"m\"}\n");
    }

    #[test]
    fn an_id_can_be_said_again() {
        assert_eq!("00000000000000ff".parse(), Ok(SpanId(255)));
        assert_eq!(SpanId(255).to_string(), "00000000000000ff");
        assert!("no".parse::<SpanId>().is_err());
    }
}
