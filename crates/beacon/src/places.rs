//! The folders in which recorders listen, and who listens there.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::Address;

/// What the name of a socket ends in; before it stands the id of the recording.
const SUFFIX: &str = ".sock";

/// A socket's path has 107 bytes and a NUL, unix(7).
const PATH_BYTES: usize = 107;

/// Where recorders of this user may listen, the best first.
fn folders() -> impl Iterator<Item = PathBuf> {
    let named = |variable: &str| std::env::var_os(variable).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let user = format!("barograph-{}", rustix::process::geteuid().as_raw());
    let temporary = named("TMPDIR").unwrap_or_else(|| "/tmp".into());
    let runtime = named("XDG_RUNTIME_DIR").map(|folder| folder.join("barograph"));
    runtime.into_iter().chain([temporary.join(&user), Path::new("/dev/shm").join(&user)])
}

/// Where the recorder of this recording may bind its socket, the best first: folders of ours alone, made if need be, and at last a name without a folder.
pub fn places(recording: &str) -> impl Iterator<Item = Address> {
    let paths = folders().map(move |folder| (folder.join(format!("{recording}{SUFFIX}")), folder));
    let usable = paths.filter(|(path, folder)| path.as_os_str().len() <= PATH_BYTES && is_ours_alone(folder));
    usable.map(|(path, _)| Address::Path(path)).chain([Address::Abstract(format!("barograph/{recording}").into_bytes())])
}

/// Makes the folder if it is not there. Somebody else's, or one that others may enter, is not used.
fn is_ours_alone(folder: &Path) -> bool {
    // If it is there already this fails, and what follows tells whether it will do.
    let _ = fs::DirBuilder::new().mode(0o700).create(folder);
    let user = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0)
}

/// The recorders of this user that listen now: the ids of their recordings, and where. Sockets that recorders left when they were killed are removed.
pub fn listening() -> Vec<(String, Address)> {
    let mut found = Vec::new();
    for entry in folders().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
        match UnixDatagram::unbound().and_then(|socket| socket.connect(entry.path())) {
            Ok(()) => found.push((id.to_owned(), Address::Path(entry.path()))),
            // A recorder that is just beginning has bound its socket under this name already, so nobody is robbed.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => drop(fs::remove_file(entry.path())),
            // That we have no descriptor left, say, tells nothing of who listens.
            Err(_) => {}
        }
    }
    found
}
