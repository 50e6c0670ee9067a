//! Rules: which lines of output, or of a file, are marks and edges of spans.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use barograph_beacon::{Address, Beacon, Message, Status, Value, What};
use barograph_record::{Ear, HeardLine, ListenTo};
use clap::Args;
use memchr::memchr2;
use regex::{Captures, Regex};

/// A line counts up to here; what is longer is looked at no further.
const LINE_BYTES: usize = 64 * 1024;

/// Spans of one rule that are open at the same time. Of more, the oldest are taken for open for ever.
const OPEN: usize = 1000;

/// How long the end of a recording waits for what a busy recorder has not heard yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// The group that names what is found, and is no attribute.
const NAME: &str = "name";

/// Which lines say something.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Lines")]
pub(crate) struct RuleOptions {
    /// Mark the moment of each line of the job's output in which this is found. May be given more than once.
    ///
    /// The mark is called what the group `name` of the regular expression found, as in `epoch (?<name>\d+)`, or else all that was found; other named
    /// groups become its attributes. Colours are taken out of a line first. The job's output arrives as it would otherwise, byte for byte.
    #[arg(long, value_name = "REGEX", conflicts_with = "no_beacon")]
    mark_on: Vec<String>,
    /// A span from each line in which the first is found to the line in which the second is. May be given more than once.
    ///
    /// It is named as a mark is. A group that has the same name in both must have found the same; of several spans that could end, the last ends.
    #[arg(long, num_args = 2, value_names = ["BEGIN", "END"], conflicts_with = "no_beacon")]
    span_on: Vec<String>,
    /// Look for such lines in this file, as it grows, and not in the job's output. May be given more than once; `-` is the job's output.
    ///
    /// It may be rotated, truncated, or not be there yet.
    #[arg(long, value_name = "FILE")]
    watch: Vec<PathBuf>,
}

/// The rules, understood.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    pub(crate) listen_to: ListenTo,
}

struct Rule {
    regex: Regex,
    /// What ends what begins.
    end: Option<Regex>,
    open: VecDeque<Open>,
}

/// A span that has begun.
struct Open {
    span: barograph_beacon::SpanId,
    found: Vec<(String, String)>,
}

impl RuleOptions {
    /// The rules, if there are any. What makes no sense is told before anything is started.
    pub(crate) fn understand(&self, has_output: bool) -> anyhow::Result<Option<Rules>> {
        let regex = |option: &str, text: &String| {
            // The compiler's own words show the place, on several lines.
            Regex::new(text).with_context(|| format!("{option} {text:?} is no regular expression"))
        };
        let mut rules = Vec::new();
        for text in &self.mark_on {
            rules.push(Rule { regex: regex("--mark-on", text)?, end: None, open: VecDeque::new() });
        }
        for pair in self.span_on.chunks_exact(2) {
            let end = Some(regex("--span-on", &pair[1])?);
            rules.push(Rule { regex: regex("--span-on", &pair[0])?, end, open: VecDeque::new() });
        }
        if rules.is_empty() {
            if !self.watch.is_empty() {
                bail!("--watch needs to know what to look for; say it with --mark-on REGEX or --span-on BEGIN END");
            }
            return Ok(None);
        }
        let is_output = |path: &PathBuf| path.as_os_str() == "-";
        let output = self.watch.is_empty() || self.watch.iter().any(is_output);
        if output && !has_output {
            bail!("there is no output to look at: its job runs already; name the file that it writes to with --watch FILE");
        }
        let files = self.watch.iter().filter(|path| !is_output(path)).cloned().collect();
        Ok(Some(Rules { rules, listen_to: ListenTo { output, files } }))
    }
}

/// Rules at work: they are applied in the listener's process, and what they find goes to the recorder as what a program says does.
pub(crate) struct AtWork {
    rules: Vec<Rule>,
    beacon: Beacon,
}

impl Rules {
    /// Makes ears that apply these rules. Spans may begin in one place and end in another.
    pub(crate) fn into_ears(self, address: &Address) -> impl FnMut() -> Box<dyn Ear> + use<> {
        let mut shared = None;
        let mut rules = Some(self.rules);
        let address = address.clone();
        move || {
            if let Some(rules) = rules.take() {
                shared = Beacon::connect(&address).ok().map(|beacon| Arc::new(Mutex::new(AtWork { rules, beacon })));
            }
            Box::new(Lines { line: Vec::new(), is_long: false, rules: shared.clone() })
        }
    }
}

/// Bytes made lines.
struct Lines {
    line: Vec<u8>,
    /// Whether the line goes on beyond what is looked at.
    is_long: bool,
    rules: Option<Arc<Mutex<AtWork>>>,
}

impl Ear for Lines {
    fn hear(&mut self, mut bytes: &[u8], heard: HeardLine) {
        let Some(rules) = self.rules.clone() else { return };
        let mut rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
        // A progress bar ends its lines with a carriage return.
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.line.is_empty() && !self.is_long && line.len() <= LINE_BYTES {
                rules.see(line, heard);
            } else {
                self.gather(line);
                rules.see(&self.line, heard);
            }
            self.line.clear();
            self.is_long = false;
            bytes = rest;
        }
        self.gather(bytes);
    }

    fn finish(&mut self, heard: HeardLine) {
        let Some(rules) = self.rules.clone() else { return };
        let mut rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.line.is_empty() {
            rules.see(&self.line, heard);
            self.line.clear();
        }
        rules.beacon.flush(PATIENCE);
    }
}

impl Lines {
    fn gather(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES - self.line.len();
        self.is_long |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl AtWork {
    fn see(&mut self, line: &[u8], heard: HeardLine) {
        if line.is_empty() || self.beacon.is_gone() {
            return;
        }
        let text = String::from_utf8_lossy(line);
        let text = if text.contains('\u{1b}') { without_colours(&text).into() } else { text };
        for rule in &mut self.rules {
            rule.apply(&text, heard, &self.beacon);
        }
    }
}

impl Rule {
    fn apply(&mut self, line: &str, heard: HeardLine, beacon: &Beacon) {
        let message = |what| Message { at: Some(heard.at), pid: heard.pid, by: Some("rule"), ..Message::new(what) };
        // The end first: a line that ends one and begins the next means them in this order.
        if let Some(found) = self.end.as_ref().and_then(|end| end.captures(line)) {
            let groups = groups(self.end.as_ref(), &found);
            let is_it = |open: &Open| groups.iter().all(|(name, value)| open.found.iter().all(|(known, said)| known != name || said == value));
            if let Some(open) = self.open.iter().rposition(is_it).and_then(|place| self.open.remove(place)) {
                beacon.send(&message(What::End { span: open.span, status: Status::Ok }));
            }
        }
        let Some(found) = self.regex.captures(line) else { return };
        let groups = groups(Some(&self.regex), &found);
        let name = found.name(NAME).map_or(&found[0], |name| name.as_str());
        let attributes: Vec<(&str, Value<'_>)> =
            groups.iter().filter(|(name, _)| name != NAME).map(|(name, value)| (name.as_str(), barograph_session::value(value))).collect();
        if self.end.is_none() {
            let detail = Some(line).filter(|line| *line != name);
            beacon.send(&Message { attributes: &attributes, detail, ..message(What::Mark(name)) });
            return;
        }
        let span = beacon.new_span();
        beacon.send(&Message { attributes: &attributes, ..message(What::Begin { name, span, parent: None }) });
        if self.open.len() >= OPEN {
            self.open.pop_front();
        }
        drop(attributes);
        self.open.push_back(Open { span, found: groups });
    }
}

/// What the named groups found.
fn groups(regex: Option<&Regex>, found: &Captures<'_>) -> Vec<(String, String)> {
    let names = regex.into_iter().flat_map(Regex::capture_names).flatten();
    names.filter_map(|name| Some((name.to_owned(), found.name(name)?.as_str().to_owned()))).collect()
}

/// The text that a terminal would show: without what sets colours and titles, ECMA-48.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after_sequence(after);
    }
    plain.push_str(rest);
    plain
}

/// What follows a control sequence, whose ESC is gone already.
fn after_sequence(text: &str) -> &str {
    let mut letters = text.char_indices();
    match letters.next() {
        None => "",
        Some((_, '[')) => letters.find(|(_, letter)| ('@'..='~').contains(letter)).map_or("", |(place, letter)| &text[place + letter.len_utf8()..]),
        // A title, or the like, up to BEL or ESC \.
        Some((_, ']' | 'P' | '_' | '^' | 'X')) => match text.find(['\u{7}', '\u{1b}']) {
            Some(end) if text[end..].starts_with('\u{7}') => &text[end + 1..],
            Some(end) => text[end + 1..].strip_prefix('\\').unwrap_or(&text[end + 1..]),
            None => "",
        },
        // Which characters are meant: one more letter.
        Some((_, '(' | ')' | '*' | '+' | '#' | '%' | ' ')) => letters.next().map_or("", |(place, letter)| &text[place + letter.len_utf8()..]),
        Some((_, letter)) => &text[letter.len_utf8()..],
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn colours_are_taken_out() {
        for (shown, plain) in [
            ("\u{1b}[1;31merror\u{1b}[0m: no", "error: no"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;https://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Bplain\u{1b}[K", "plain"),
            ("torn \u{1b}[3", "torn "),
            ("\u{1b}", ""),
            ("é\u{1b}[0mü", "éü"),
        ] {
            assert_eq!(without_colours(shown), plain, "{shown:?}");
        }
    }

    fn options(mark_on: &[&str], span_on: &[&str]) -> RuleOptions {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        RuleOptions { mark_on: own(mark_on), span_on: own(span_on), watch: Vec::new() }
    }

    /// What rules say of these pieces of output, as JSON.
    fn said(mark_on: &[&str], span_on: &[&str], pieces: &[&[u8]]) -> Vec<serde_json::Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let rules = options(mark_on, span_on).understand(true).unwrap().unwrap();
        let mut ear = rules.into_ears(&Address::Path(path))();
        let mut all = Vec::new();
        for (place, piece) in pieces.iter().enumerate() {
            let heard = HeardLine { at: i64::try_from(place).unwrap(), pid: Some(7) };
            ear.hear(piece, heard);
            if place + 1 == pieces.len() {
                ear.finish(heard);
            }
            let mut datagram = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut datagram) {
                let lines = std::str::from_utf8(&datagram[..length]).unwrap();
                all.extend(lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()));
            }
        }
        all
    }

    #[test]
    fn marks_are_named_and_have_their_attributes_and_time() {
        let said = said(
            &[r"epoch (?<epoch>\d+).*loss (?<loss>[\d.]+)", r"^(?<name>ready)\b"],
            &[],
            &[b"starting\nepo", b"ch 3 of 9: \x1b[32mloss 0.25\x1b[0m\r\n", b"rea", b"dy when you are\r50 %\r", b"ready"],
        );
        assert_eq!(said.len(), 3, "{said:#?}");
        assert_eq!(
            (&said[0]["mark"], &said[0]["t"], &said[0]["pid"], &said[0]["by"]),
            (&"epoch 3 of 9: loss 0.25".into(), &1.into(), &7.into(), &"rule".into())
        );
        assert_eq!(said[0]["attributes"], serde_json::json!({ "epoch": 3, "loss": 0.25 }));
        assert_eq!((&said[1]["mark"], &said[1]["detail"], &said[1]["t"]), (&"ready".into(), &"ready when you are".into(), &3.into()));
        assert_eq!((&said[2]["mark"], &said[2]["detail"]), (&"ready".into(), &serde_json::Value::Null));
    }

    #[test]
    fn spans_end_where_the_same_is_named() {
        let said = said(
            &[],
            &["begin (?<name>[a-z])", "end (?<name>[a-z])?"],
            &[b"begin a\nbegin b\nend a\n", b"end c\n", b"begin c\nend \n", b"end b begin a\n"],
        );
        let edges: Vec<String> =
            said.iter().map(|edge| format!("{}{}", edge["begin"].as_str().unwrap_or("end "), edge["end"].as_str().unwrap_or_default())).collect();
        let id = |place: usize| said[place]["span"].as_str().unwrap().to_owned();
        assert_eq!(edges[..2], ["a", "b"]);
        assert_eq!(edges[2], format!("end {}", id(0)));
        assert_eq!((edges[3].as_str(), &edges[4]), ("c", &format!("end {}", id(3))));
        assert_eq!((&edges[5], edges[6].as_str(), edges.len()), (&format!("end {}", id(1)), "a", 7));
    }

    #[test]
    fn endless_lines_and_what_is_no_text_do_no_harm() {
        let piece = vec![b'x'; 100_000];
        let mut pieces: Vec<&[u8]> = vec![&piece; 50];
        pieces.push(b" hit\n\xff\xfe hit\n");
        let said = said(&["x* ?hit"], &[], &pieces);
        assert_eq!(said.len(), 1, "what stands far behind is not looked at");
        assert_eq!(said[0]["detail"], "\u{fffd}\u{fffd} hit");
    }

    #[test]
    fn nonsense_is_told() {
        let told = |options: &RuleOptions, has_output| format!("{:#}", options.understand(has_output).err().unwrap());
        assert!(told(&options(&["("], &[]), true).contains("--mark-on \"(\" is no regular expression"));
        assert!(told(&options(&[], &["a", "["]), true).contains("--span-on"));
        assert!(told(&options(&["a"], &[]), false).contains("--watch FILE"));
        assert!(told(&RuleOptions { watch: vec!["log".into()], ..RuleOptions::default() }, true).contains("--mark-on"));
        assert!(RuleOptions::default().understand(true).unwrap().is_none());
    }
}
