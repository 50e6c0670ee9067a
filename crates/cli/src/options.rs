//! Options that several commands share: where the machine's files are, and how a recording is made.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use barograph_record::{Condition, Until};
use barograph_sources::{Choice, Machine, Roots};
use clap::{Args, ValueEnum};

use crate::recording::Unrecordable;
use crate::rules::RuleOptions;

/// Where the machine is found.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineOptions {
    /// Folder of process information, for a container that watches its host.
    #[arg(long, value_name = "DIR", default_value = "/proc", hide_default_value = true)]
    proc_root: PathBuf,
    /// Folder of devices and control groups.
    #[arg(long, value_name = "DIR", default_value = "/sys", hide_default_value = true)]
    sys_root: PathBuf,
    /// Folder of the names of users.
    #[arg(long, value_name = "DIR", default_value = "/etc", hide_default_value = true)]
    etc_root: PathBuf,
    /// Folder under which the machine's file systems are mounted.
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    mounts_root: PathBuf,
}

impl MachineOptions {
    pub(crate) fn open(&self) -> anyhow::Result<Arc<Machine>> {
        let roots = Roots { proc: self.proc_root.clone(), sys: self.sys_root.clone(), etc: self.etc_root.clone(), mounts: self.mounts_root.clone() };
        Ok(Arc::new(Machine::open(roots).map_err(|fault| Unrecordable::at_processes(&fault))?))
    }
}

/// How a recording is made.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Recording")]
pub(crate) struct RecordingOptions {
    /// Where to record: a folder NAME.baro, or one flat file of sums with the ending csv, tsv, jsonl, parquet or arrow.
    ///
    /// Without it, a folder is named after the command and the time, in $BAROGRAPH_DIR or here. A name that is taken gets a number.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) output: Option<PathBuf>,
    /// Replace a recording of that name.
    #[arg(long)]
    pub(crate) force: bool,
    /// Time between two readings, such as 100ms, 1s or 5m.
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    pub(crate) interval: Duration,
    /// Time between two writes to disk: the most that a crash can lose.
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_interval)]
    pub(crate) write_interval: Duration,
    /// Read at the interval from the start on, not more often in the first seconds.
    #[arg(long)]
    pub(crate) no_dense_start: bool,
    /// Which processes get rows of their own: tree, all, top:N, name:REGEX, user:NAME or none.
    #[arg(long, value_name = "WHICH")]
    pub(crate) processes: Option<Choice>,
    /// How to read many processes that are not of the job: auto (at once by a BPF iterator, where that can be had) or off (from /proc, one by one).
    ///
    /// It takes Linux 5.8 with BTF, and CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE, which root has. The numbers are the same either way.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = FastOption::Auto, hide_possible_values = true)]
    pub(crate) fast: FastOption,
    /// Leave out memory with shared pages told apart (PSS, USS), which the kernel counts page by page.
    #[arg(long)]
    pub(crate) no_pss: bool,
    /// Leave out these sources of the machine, such as disk or network; `barograph metrics` tells their tables. More than one has commas between.
    #[arg(long, value_name = "SOURCES", value_delimiter = ',')]
    pub(crate) without: Vec<String>,
    /// Don't listen to what programs say of themselves: marks, spans and gauges.
    #[arg(long)]
    pub(crate) no_beacon: bool,
    /// Mark the moments at which this begins and ends to hold, such as 'memory > 2 GiB for 10s'. May be given more than once.
    ///
    /// METRIC > THRESHOLD [for TIME], with >, >=, < or <=. cpu (in cores), memory, threads and processes are those of the job, or of the machine where there
    /// is none. Others are the ids that `barograph metrics` lists, counters as what they grow by in a second; those of several disks or the like are added up,
    /// unless one is named in brackets behind, such as `[sda]` or `[/home]`. It must hold for that TIME, and then not hold for as long.
    #[arg(long, value_name = "CONDITION")]
    pub(crate) mark_when: Vec<Condition>,
    /// What recording may cost: a share of one core, such as 1% or 0.5%.
    ///
    /// Above it, PSS is read less often and then not at all, processes outside the job likewise, and then ticks are twice as far apart. The recording says so.
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) max_overhead: Option<f64>,
    /// End the recording after this time, whatever else.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Say nothing at the end.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Say it as one line of JSON on stderr.
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,
    /// Say it in your own words, such as '{wall} {cpu} {cores} {peak} {read} {written} {processes} {exit} {path}'.
    ///
    /// Each of these is for people; with _seconds, _bytes or _count after it (wall_seconds, peak_bytes, processes_count …) it is a plain number.
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["quiet", "json"])]
    pub(crate) summary: Option<String>,
    #[command(flatten)]
    pub(crate) rules: RuleOptions,
}

/// What is said of a recording of a job.
#[derive(Args, Debug, Clone)]
pub(crate) struct JobOptions {
    /// What ends the recording: root (the job has ended), tree (and all its descendants), or a time.
    #[arg(long, value_name = "WHEN", default_value = "tree")]
    pub(crate) until: UntilOption,
    /// Also record, 100 times a second or at this RATE, which line of its source each Python program is at; `report --lines` says what the lines cost.
    ///
    /// Programs are read from outside and not stopped. It takes at most a tenth of a core (half of --max-overhead, if that is less): a job of many
    /// processes is looked at less often. CPython 3.9 to 3.14.
    #[cfg(feature = "lines")]
    #[arg(long, value_name = "RATE", num_args = 0..=1, require_equals = true, default_missing_value = "100", value_parser = parse_rate)]
    pub(crate) lines: Option<u32>,
    #[command(flatten)]
    pub(crate) recording: RecordingOptions,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
}

/// Whether many processes may be read at once by a BPF iterator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FastOption {
    Auto,
    Off,
}

impl JobOptions {
    /// How often lines are looked at, if they are.
    pub(crate) fn lines(&self) -> Option<u32> {
        #[cfg(feature = "lines")]
        return self.lines;
        #[cfg(not(feature = "lines"))]
        None
    }
}

/// When a recording ends by itself, as it is typed: `root`, `tree` or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UntilOption {
    Job(Until),
    Time(Duration),
}

impl FromStr for UntilOption {
    type Err = String;

    fn from_str(text: &str) -> Result<UntilOption, String> {
        match text {
            "root" => Ok(UntilOption::Job(Until::Root)),
            "tree" => Ok(UntilOption::Job(Until::Tree)),
            _ => parse_duration(text).map(UntilOption::Time).map_err(|_| "expected root, tree or a time such as 90s".to_owned()),
        }
    }
}

/// A time such as `100ms`, `1.5s`, `2h 30m`; a bare number means seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let hint = "expected a time such as 100ms, 1.5s or 2h30m";
    let duration = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| hint.to_owned())?,
        Err(_) => {
            let signed: jiff::SignedDuration = text.parse().map_err(|_| hint.to_owned())?;
            Duration::try_from(signed).map_err(|_| hint.to_owned())?
        }
    };
    if duration.is_zero() { Err(hint.to_owned()) } else { Ok(duration) }
}

/// A share of one core such as `1%`, as 0.01. A bare number is refused: 1 could be all or a hundredth.
fn parse_share(text: &str) -> Result<f64, String> {
    let percent = text.trim_end().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    percent
        .filter(|percent| *percent > 0.0 && percent.is_finite())
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "expected a share of one core such as 1%".to_owned())
}

/// Times a second: a whole number, with or without its unit.
#[cfg(feature = "lines")]
fn parse_rate(text: &str) -> Result<u32, String> {
    let number = text.trim_end_matches("Hz").trim_end_matches("hz").trim_end();
    number.parse().ok().filter(|rate| (1..=1000).contains(rate)).ok_or_else(|| "expected how many times a second, from 1 to 1000".to_owned())
}

pub(crate) fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < Duration::from_millis(1) {
        return Err("the shortest is 1ms".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_type_them() {
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2h30m"), Ok(Duration::from_secs(9000)));
        for wrong in ["", "0", "-1s", "soon", "inf", "nan", "1e300"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!(parse_interval("500us").is_err());
    }

    #[cfg(feature = "lines")]
    #[test]
    fn a_rate_is_a_number_of_times_a_second() {
        assert_eq!((parse_rate("100"), parse_rate("250Hz"), parse_rate("1 hz")), (Ok(100), Ok(250), Ok(1)));
        for wrong in ["", "0", "1001", "-5", "1.5", "Hz", "100ms"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_needs_its_sign() {
        assert_eq!(parse_share("1%"), Ok(0.01));
        assert_eq!(parse_share("0.5 %"), Ok(0.005));
        for wrong in ["1", "%", "0%", "-1%", "nan%", "inf%", "a lot"] {
            assert!(parse_share(wrong).is_err(), "{wrong}");
        }
    }
}
