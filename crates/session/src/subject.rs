//! What is recorded.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use barograph_record::Recorder;
use barograph_sources::{Choice, Machine, Root, Scope, Select, Watch};

/// What is recorded.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A command that we start.
    Command(&'a [OsString]),
    /// Processes that run already.
    Processes(&'a [u32]),
    /// The program that we are part of.
    ThisProgram,
    /// The machine; until these processes have ended, if there are any.
    Machine {
        /// Whom it is recorded for.
        until_exit: &'a [u32],
    },
}

impl Subject<'_> {
    /// Which processes are watched for it, with what the user chose.
    pub fn watch(&self, choice: Option<&Choice>) -> Watch {
        let (roots, adopts, scope) = match self {
            Subject::Command(_) => (Vec::new(), true, Scope::Tree),
            Subject::Processes(pids) => (pids.to_vec(), false, Scope::Tree),
            Subject::ThisProgram => (vec![std::process::id()], false, Scope::Tree),
            Subject::Machine { .. } => (Vec::new(), false, Scope::Machine),
        };
        let select = choice.map_or(Select::Everyone, |choice| choice.select.clone());
        let scope = choice.and_then(|choice| choice.scope).unwrap_or(scope);
        Watch { roots, adopts, scope, select }
    }

    /// Whether there is a job, or only the machine.
    pub fn has_job(&self) -> bool {
        !matches!(self, Subject::Machine { .. })
    }

    /// Has the recorder watch what runs already. Returns the job's first process.
    pub fn attach(&self, recorder: &mut Recorder) -> Option<u32> {
        let own = [std::process::id()];
        let pids = match self {
            Subject::Command(_) => return None,
            Subject::ThisProgram => &own,
            Subject::Processes(pids) | Subject::Machine { until_exit: pids } => *pids,
        };
        recorder.attach(pids);
        pids.first().copied().filter(|_| self.has_job())
    }

    /// The command of the job, as far as it is known.
    pub(crate) fn command(&self, machine: &Machine) -> Option<Vec<String>> {
        match self {
            Subject::Command(command) => Some(command.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()),
            Subject::Processes(pids) => pids.first().and_then(|pid| process_name(machine, *pid)).map(|name| vec![name]),
            Subject::ThisProgram => Some(own_command(machine)),
            Subject::Machine { .. } => None,
        }
    }

    /// What a recording of it is called where nobody said.
    pub(crate) fn stem(&self, machine: &Machine) -> String {
        let name = match self {
            Subject::Command(command) => command.first().and_then(|program| Path::new(program).file_name()).map(OsStr::to_os_string),
            Subject::Processes(pids) => pids.first().and_then(|pid| process_name(machine, *pid)).map(OsString::from),
            Subject::ThisProgram => process_name(machine, std::process::id()).map(OsString::from),
            Subject::Machine { .. } => Some("machine".into()),
        };
        let plain = |letter: char| if letter.is_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
        let name: String = name.unwrap_or_default().to_string_lossy().chars().take(40).map(plain).collect();
        if name.trim_matches(['.', '_']).is_empty() { "job".to_owned() } else { name }
    }
}

fn process_name(machine: &Machine, pid: u32) -> Option<String> {
    machine.text(Root::Proc, &format!("{pid}/comm"))
}

/// The command line of this process. It is asked for where the kernel keeps it, as a library need not have been told.
fn own_command(machine: &Machine) -> Vec<String> {
    let mut line = Vec::new();
    // What can't be read is absent.
    let _ = machine.read(Root::Proc, "self/cmdline", &mut line);
    let words = line.strip_suffix(b"\0").unwrap_or(&line).split(|&byte| byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
