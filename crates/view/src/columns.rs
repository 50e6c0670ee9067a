//! Columns of the files: their names from the declarations of the sources, and what their numbers are when they are shown.

use barograph_model::{Described, Events, Field, Gauges, Lines, SpanEdges, Table};
use barograph_sources::{Cores, Cpu, Job, Own, Process, Processes};
use barograph_store::{FieldInfo, Shares, TableInfo};

use crate::{Spec, Unit};

/// The name of a declared column.
pub(crate) fn column<T: Described, K>(field: Field<T, K>) -> String {
    T::TABLE.metrics[field.index()].column()
}

/// The names of declared columns.
pub(crate) fn columns<T: Described, K, const N: usize>(fields: [Field<T, K>; N]) -> Vec<String> {
    fields.map(column).to_vec()
}

fn is(table: &str, declared: &Table) -> bool {
    table == declared.name
}

/// Whether rows come when somebody says something, and not at each tick. What was said holds until the next word.
pub(crate) fn is_said(table: &str) -> bool {
    [Events::TABLE, Gauges::TABLE, SpanEdges::TABLE].iter().any(|said| is(table, said))
}

/// Whether the subjects are processes: they come and go, and one that is not there uses nothing.
pub(crate) fn has_passing_subjects(table: &TableInfo) -> bool {
    table.keys == columns([Process::pid, Process::start_ticks])
}

/// What the rates of a spec are shares of, where its table says so and has all columns of it.
pub(crate) fn shares_of(table: &TableInfo, spec: &Spec) -> Option<Shares> {
    let declared = [Cpu::TABLE, Cores::TABLE].into_iter().find(|declared| is(&table.name, declared))?;
    let shares = Shares::of(declared, spec.plus.first()?)?;
    let has_all = shares.columns().all(|column| table.fields.iter().any(|field| field.name == *column));
    has_all.then_some(shares)
}

/// Whether a line can be made of it.
pub(crate) fn is_shown(field: &FieldInfo) -> bool {
    matches!(field.kind.as_str(), "counter" | "gauge") && field.physical.is_some_and(|physical| physical != barograph_model::Physical::Text)
}

/// Whether it is shown as a rate.
pub(crate) fn is_counter(field: &FieldInfo) -> bool {
    field.kind == barograph_model::Kind::Counter.name()
}

/// What its numbers are when they are shown.
pub(crate) fn unit_of(table: &str, field: &FieldInfo) -> Unit {
    use barograph_model::Unit as Kept;
    let is_kept_in = |unit: Kept| field.unit == unit.name();
    if is_counter(field) {
        return match () {
            () if is_kept_in(Kept::Bytes) => Unit::BytesPerSecond,
            () if is_kept_in(Kept::Seconds) && is_cpu_time(table, &field.name) => Unit::Cores,
            // Time in which something was so, per time: a share.
            () if is_kept_in(Kept::Seconds) => Unit::Ratio,
            () => Unit::PerSecond,
        };
    }
    let units = [
        (Kept::Bytes, Unit::Bytes),
        (Kept::Seconds, Unit::Seconds),
        (Kept::Hertz, Unit::Hertz),
        (Kept::Ratio, Unit::Ratio),
        (Kept::Count, Unit::Count),
    ];
    units.into_iter().find(|(kept, _)| is_kept_in(*kept)).map_or(Unit::Number, |(_, unit)| unit)
}

/// Whether these seconds are those of cores at work; all others are time that passed for one waiting or busy thing.
fn is_cpu_time(table: &str, name: &str) -> bool {
    let among = |columns: Vec<String>| columns.iter().any(|column| column == name);
    is(table, Cpu::TABLE)
        || is(table, Cores::TABLE)
        || is(table, Process::TABLE) && among(columns([Process::user, Process::system, Process::children_user, Process::children_system]))
        || is(table, Job::TABLE) && among(columns([Job::user, Job::system]))
        || is(table, Own::TABLE) && among(columns([Own::cpu]))
        || is(table, SpanEdges::TABLE) && among(columns([SpanEdges::thread_cpu, SpanEdges::process_cpu]))
}

/// A column's name in words, without its unit.
pub(crate) fn words(field: &FieldInfo) -> String {
    let unit = format!("_{}", field.unit);
    field.name.strip_suffix(&unit).filter(|name| !name.is_empty()).unwrap_or(&field.name).replace('_', " ")
}

/// Whether its columns are offered as panels: it tells of the machine or its processes at each tick, and has no view of its own, as spans have.
pub(crate) fn is_offered(table: &str) -> bool {
    ![Events::TABLE, Gauges::TABLE, SpanEdges::TABLE, Lines::TABLE, Processes::TABLE].iter().any(|other| is(table, other))
}
