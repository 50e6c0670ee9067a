//! Where a recording goes.

use std::path::{Path, PathBuf};

use barograph_sources::{Machine, Root};
use jiff::tz::TimeZone;

use crate::Subject;

/// Where to record if nobody said: a folder named after the subject and the time, in `$BAROGRAPH_DIR` or here.
pub fn default_path(machine: &Machine, subject: &Subject<'_>) -> PathBuf {
    let folder = std::env::var_os("BAROGRAPH_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from).unwrap_or_default();
    let time = jiff::Timestamp::now().to_zoned(local_zone(machine)).strftime("%Y%m%d-%H%M%S").to_string();
    folder.join(format!("{}-{time}.baro", subject.stem(machine)))
}

/// The folder for a recording of this name: with the ending that recordings have.
pub fn folder_name(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|ending| ending == "baro") {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".baro");
    name.into()
}

/// The zone of the people here. Its file alone tells how to show a time; finding its name among all zones would hold up the job's end by milliseconds.
fn local_zone(machine: &Machine) -> TimeZone {
    let mut data = Vec::new();
    let told = std::env::var_os("TZ").is_some() || machine.read(Root::Etc, "localtime", &mut data).is_err();
    if told { TimeZone::system() } else { TimeZone::tzif("Local", &data).unwrap_or(TimeZone::UTC) }
}
