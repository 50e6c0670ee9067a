//! The processes of a moment as a table: which of them, in which order, as a list or as a tree.

use std::cmp::Ordering;
use std::collections::HashMap;

use barograph_view::ProcessRow;
use barograph_view::human;
use barograph_view::text::clean;

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Pid,
    Process,
    Cpu,
    Memory,
    Io,
    Read,
    Written,
    Threads,
    Files,
    Waiting,
    Age,
    State,
    User,
}

/// The columns that one goes through when asking for the next.
const SORTS: [Column; 7] = [Column::Cpu, Column::Memory, Column::Io, Column::Threads, Column::Age, Column::Pid, Column::Process];

impl Column {
    /// Its head.
    pub(crate) fn head(self) -> &'static str {
        match self {
            Column::Pid => "PID",
            Column::Process => "PROCESS",
            Column::Cpu => "CORES",
            Column::Memory => "MEMORY",
            Column::Io => "I/O",
            Column::Read => "READ",
            Column::Written => "WRITTEN",
            Column::Threads => "THREADS",
            Column::Files => "FILES",
            Column::Waiting => "WAITING",
            Column::Age => "AGE",
            Column::State => "S",
            Column::User => "USER",
        }
    }

    /// How it is called in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Column::Pid => "pid",
            Column::Process => "command",
            Column::Cpu => "CPU",
            Column::Memory => "memory",
            Column::Io => "I/O",
            Column::Read => "bytes read",
            Column::Written => "bytes written",
            Column::Threads => "threads",
            Column::Files => "open files",
            Column::Waiting => "waiting",
            Column::Age => "age",
            Column::State => "state",
            Column::User => "user",
        }
    }

    /// How many columns of the terminal it takes. The command takes what is left.
    pub(crate) fn width(self) -> usize {
        match self {
            Column::Process => 0,
            Column::State => 1,
            Column::Files => 5,
            Column::Cpu => 7,
            Column::Pid | Column::Threads | Column::Waiting => 7,
            Column::User => 8,
            Column::Memory => 9,
            Column::Age => 12,
            Column::Io | Column::Read | Column::Written => 10,
        }
    }

    /// Texts begin at the left, numbers end at the right.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Column::Process | Column::State | Column::User)
    }

    /// The one after it, when going through them.
    pub(crate) fn next(self) -> Column {
        let here = SORTS.iter().position(|column| *column == self);
        SORTS[here.map_or(0, |here| (here + 1) % SORTS.len())]
    }

    /// The number by which rows are ordered; absent for texts, and where it is not known.
    fn amount(self, row: &ProcessRow) -> Option<f64> {
        match self {
            Column::Pid => Some(row.pid as f64),
            Column::Cpu => row.cores,
            Column::Memory => row.resident_bytes,
            Column::Io => io(row),
            Column::Read => row.read,
            Column::Written => row.written,
            Column::Threads => row.threads,
            Column::Files => row.open_files,
            Column::Waiting => row.waiting,
            Column::Age => row.age_seconds,
            Column::Process | Column::State | Column::User => None,
        }
    }

    /// Whether what a process and all its descendants have of it means something.
    fn adds_up(self) -> bool {
        matches!(self, Column::Cpu | Column::Memory | Column::Io | Column::Read | Column::Written | Column::Threads | Column::Files)
    }

    /// The text of a cell.
    pub(crate) fn cell(self, row: &ProcessRow) -> String {
        let known = |value: Option<f64>, say: fn(f64) -> String| value.map_or_else(|| "–".to_owned(), say);
        match self {
            Column::Pid => row.pid.to_string(),
            Column::Process => command(row),
            Column::Cpu => known(row.cores, cores),
            Column::Memory => known(row.resident_bytes, human::byte_amount),
            Column::Io => known(io(row), rate),
            Column::Read => known(row.read, rate),
            Column::Written => known(row.written, rate),
            Column::Threads => known(row.threads, human::count),
            Column::Files => known(row.open_files, human::count),
            Column::Waiting => known(row.waiting, human::share),
            Column::Age => known(row.age_seconds, human::seconds),
            Column::State => row.state.as_deref().map_or_else(|| "–".to_owned(), |state| clean(state).into_owned()),
            Column::User => row.user.as_deref().map_or_else(|| "–".to_owned(), |user| clean(user).into_owned()),
        }
    }
}

/// Columns of so few letters keep their two digits: a table is read downwards.
pub(crate) fn cores(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value < 0.005 {
        "< 0.01".to_owned()
    } else {
        format!("{value:.2}")
    }
}

/// Bytes in a second. Nothing is the most frequent of them, and is to be quiet.
fn rate(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { human::byte_rate(value) }
}

fn io(row: &ProcessRow) -> Option<f64> {
    match (row.read, row.written) {
        (None, None) => None,
        (read, written) => Some(read.unwrap_or(0.0) + written.unwrap_or(0.0)),
    }
}

/// The command line without the folder of its program; the name in brackets of who has none, as of threads of the kernel.
pub(crate) fn command(row: &ProcessRow) -> String {
    let Some(line) = row.command.as_deref().filter(|line| !line.trim().is_empty()) else {
        return row.name.as_deref().map_or_else(|| "?".to_owned(), |name| format!("[{}]", clean(name)));
    };
    // A program that writes a title over its arguments has but one, in quotes as it has blanks.
    let title = line.strip_prefix('\'').and_then(|line| line.strip_suffix('\'')).filter(|line| !line.contains('\''));
    let line = title.unwrap_or(line);
    let (program, rest) = line.split_once(' ').map_or((line, ""), |(program, rest)| (program, rest));
    let name = program.rsplit('/').find(|part| !part.is_empty()).filter(|_| program.starts_with(['/', '.'])).unwrap_or(program);
    let short = if rest.is_empty() { name.to_owned() } else { format!("{name} {rest}") };
    clean(&short).into_owned()
}

/// Which processes are shown, and in which order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) by: Column,
    pub(crate) reversed: bool,
    pub(crate) tree: bool,
    /// Only those that have this text somewhere; empty for all.
    pub(crate) filter: String,
}

impl Default for Order {
    fn default() -> Order {
        Order { by: Column::Cpu, reversed: false, tree: false, filter: String::new() }
    }
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Which process, by its place among all.
    pub(crate) place: usize,
    /// What leads to it in a tree: `│  └─ `.
    pub(crate) branch: String,
    /// Whether it is there only for the sake of a descendant that was looked for.
    pub(crate) leads: bool,
}

/// What processes come to together. What is not known of all of them is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) processes: usize,
    pub(crate) threads: f64,
    pub(crate) cores: Option<f64>,
    pub(crate) resident_bytes: f64,
}

/// The sums of all processes that the filter lets through.
pub(crate) fn totals(processes: &[ProcessRow], order: &Order) -> Totals {
    processes.iter().filter(|row| matches(row, &order.filter)).fold(Totals::default(), |sum, row| Totals {
        processes: sum.processes + 1,
        threads: sum.threads + row.threads.unwrap_or(0.0),
        cores: row.cores.map_or(sum.cores, |cores| Some(sum.cores.unwrap_or(0.0) + cores)),
        resident_bytes: sum.resident_bytes + row.resident_bytes.unwrap_or(0.0),
    })
}

/// The lines of the table.
pub(crate) fn lines(processes: &[ProcessRow], order: &Order) -> Vec<Line> {
    if order.tree {
        return tree(processes, order);
    }
    let mut places: Vec<usize> = (0..processes.len()).filter(|place| matches(&processes[*place], &order.filter)).collect();
    let amounts: Vec<Option<f64>> = processes.iter().map(|row| order.by.amount(row)).collect();
    places.sort_by(|a, b| compare(processes, &amounts, order, *a, *b));
    places.into_iter().map(|place| Line { place, branch: String::new(), leads: false }).collect()
}

/// The largest first, and who is not known last; texts and pids in their own order. Equals by pid, so that nothing jumps.
fn compare(processes: &[ProcessRow], amounts: &[Option<f64>], order: &Order, a: usize, b: usize) -> Ordering {
    let (left, right) = (&processes[a], &processes[b]);
    let natural = match order.by {
        Column::Process => command(left).to_lowercase().cmp(&command(right).to_lowercase()),
        Column::User => left.user.cmp(&right.user),
        Column::State => left.state.cmp(&right.state),
        Column::Pid => left.pid.cmp(&right.pid),
        _ => match (amounts[a], amounts[b]) {
            (Some(left), Some(right)) => right.total_cmp(&left),
            (left, right) => return right.is_some().cmp(&left.is_some()).then(processes[a].pid.cmp(&processes[b].pid)),
        },
    };
    let asked = if order.reversed { natural.reverse() } else { natural };
    asked.then(left.pid.cmp(&right.pid))
}

/// Whether a process has this text in its pid, command, name or user, whatever the case of letters.
fn matches(row: &ProcessRow, filter: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    let wanted = filter.to_lowercase();
    let has = |text: &Option<String>| text.as_deref().is_some_and(|text| text.to_lowercase().contains(&wanted));
    row.pid.to_string().contains(&wanted) || has(&row.command) || has(&row.name) || has(&row.user)
}

/// Parents above their children; siblings in order of what they and all their descendants have together, where that means something.
fn tree(processes: &[ProcessRow], order: &Order) -> Vec<Line> {
    let by_pid: HashMap<i64, usize> = processes.iter().enumerate().map(|(place, row)| (row.pid, place)).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); processes.len()];
    let mut roots = Vec::new();
    let parent_of = |place: usize| by_pid.get(&processes[place].parent_pid?).copied().filter(|parent| *parent != place);
    for place in 0..processes.len() {
        parent_of(place).map_or(&mut roots, |parent| &mut children[parent]).push(place);
    }
    // Parents before children. Who is reached from no root is his own ancestor, as only a damaged file says: he is a root too.
    let mut above = Vec::with_capacity(processes.len());
    let mut reached = vec![false; processes.len()];
    for start in roots.clone().into_iter().chain(0..processes.len()) {
        if reached[start] {
            continue;
        }
        if let Some(parent) = parent_of(start) {
            children[parent].retain(|child| *child != start);
            roots.push(start);
        }
        let mut waiting = vec![start];
        while let Some(next) = waiting.pop() {
            reached[next] = true;
            above.push(next);
            waiting.extend(&children[next]);
        }
    }
    let mut amounts: Vec<Option<f64>> = processes.iter().map(|row| order.by.amount(row)).collect();
    let mut shown: Vec<bool> = processes.iter().map(|row| matches(row, &order.filter)).collect();
    let found = shown.clone();
    for parent in above.iter().rev().copied() {
        for child in &children[parent] {
            shown[parent] |= shown[*child];
            if order.by.adds_up()
                && let Some(amount) = amounts[*child]
            {
                amounts[parent] = Some(amounts[parent].unwrap_or(0.0) + amount);
            }
        }
    }
    for siblings in children.iter_mut().chain([&mut roots]) {
        siblings.retain(|place| shown[*place]);
        siblings.sort_by(|a, b| compare(processes, &amounts, order, *a, *b));
    }
    let mut lines = Vec::new();
    let mut waiting: Vec<(usize, Vec<bool>)> = roots.iter().rev().map(|root| (*root, Vec::new())).collect();
    while let Some((place, path)) = waiting.pop() {
        let last = children[place].len();
        for (number, child) in children[place].iter().enumerate().rev() {
            let mut longer = path.clone();
            longer.push(number + 1 == last);
            waiting.push((*child, longer));
        }
        lines.push(Line { place, branch: branch(&path), leads: !found[place] });
    }
    lines
}

/// The lines that lead to a process, by whether it, and each of its ancestors below the root, is the last of its siblings.
fn branch(path: &[bool]) -> String {
    let Some((last, above)) = path.split_last() else { return String::new() };
    let above: String = above.iter().map(|last| if *last { "  " } else { "│ " }).collect();
    above + if *last { "└ " } else { "├ " }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i64, parent: i64, name: &str, cores: Option<f64>) -> ProcessRow {
        ProcessRow {
            pid,
            parent_pid: Some(parent),
            command: Some(name.to_owned()),
            cores,
            threads: Some(1.0),
            resident_bytes: Some(pid as f64),
            ..ProcessRow::default()
        }
    }

    fn family() -> Vec<ProcessRow> {
        vec![
            process(1, 0, "init", Some(0.0)),
            process(2, 1, "shell", Some(0.1)),
            process(3, 1, "make", Some(0.0)),
            process(4, 3, "cc b.c", Some(0.9)),
            process(5, 3, "cc a.c", Some(0.9)),
            process(6, 99, "lost", None),
        ]
    }

    fn pids(processes: &[ProcessRow], order: &Order) -> Vec<i64> {
        lines(processes, order).iter().map(|line| processes[line.place].pid).collect()
    }

    #[test]
    fn the_busiest_come_first_and_the_unknown_last() {
        let by = |by| Order { by, ..Order::default() };
        assert_eq!(pids(&family(), &by(Column::Cpu)), [4, 5, 2, 1, 3, 6]);
        assert_eq!(pids(&family(), &Order { reversed: true, ..by(Column::Cpu) }), [1, 3, 2, 4, 5, 6]);
        assert_eq!(pids(&family(), &by(Column::Memory)), [6, 5, 4, 3, 2, 1]);
        assert_eq!(pids(&family(), &by(Column::Process)), [5, 4, 1, 6, 3, 2]);
        assert_eq!(pids(&family(), &by(Column::Pid)), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_tree_has_branches_and_is_ordered_by_what_families_use() {
        let order = Order { tree: true, ..Order::default() };
        let family = family();
        let drawn: Vec<String> =
            lines(&family, &order).iter().map(|line| format!("{}{}", line.branch, family[line.place].command.as_deref().unwrap())).collect();
        assert_eq!(drawn, ["init", "├ make", "│ ├ cc b.c", "│ └ cc a.c", "└ shell", "lost"]);
    }

    #[test]
    fn a_filter_keeps_the_way_to_what_was_found() {
        let mut order = Order { filter: "A.C".to_owned(), ..Order::default() };
        assert_eq!(pids(&family(), &order), [5]);
        assert_eq!(totals(&family(), &order), Totals { processes: 1, threads: 1.0, cores: Some(0.9), resident_bytes: 5.0 });
        order.tree = true;
        let found: Vec<(usize, bool)> = lines(&family(), &order).iter().map(|line| (line.place, line.leads)).collect();
        assert_eq!(found, [(0, true), (2, true), (4, false)]);
    }

    #[test]
    fn who_is_his_own_ancestor_is_shown_all_the_same() {
        let circle = [process(1, 2, "a", None), process(2, 1, "b", None), process(3, 3, "c", None)];
        let mut seen = pids(&circle, &Order { tree: true, ..Order::default() });
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3]);
        assert!(lines(&[], &Order { tree: true, ..Order::default() }).is_empty());
    }

    #[test]
    fn commands_are_short_and_harmless() {
        let said = |command: &str, name: &str| {
            super::command(&ProcessRow { command: Some(command.to_owned()), name: Some(name.to_owned()), ..ProcessRow::default() })
        };
        assert_eq!(said("/usr/bin/python3 -m x /etc/y", "python3"), "python3 -m x /etc/y");
        assert_eq!(said("", "kworker/0:1"), "[kworker/0:1]");
        assert_eq!(said("evil\x1b[2J", "evil"), "evil\\x1b[2J");
        assert_eq!(said("'nginx: worker process'", "nginx"), "nginx: worker process");
        assert_eq!(said("'/opt/it/it --one'", "it"), "it --one");
        assert_eq!(said("'a b' 'c d'", "a b"), "'a b' 'c d'");
    }
}
