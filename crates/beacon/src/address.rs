//! Where a recorder listens: a path, or a name in Linux's abstract namespace.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;

/// An address, as it stands in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A path.
    Path(PathBuf),
    /// A name in the abstract namespace, unix(7).
    Abstract(Vec<u8>),
}

impl Address {
    /// The address that this text means; `None` if it is empty.
    pub fn parse(text: &OsStr) -> Option<Address> {
        match text.as_bytes() {
            [] => None,
            [b'@', name @ ..] => Some(Address::Abstract(name.to_vec())),
            _ => Some(Address::Path(text.into())),
        }
    }

    /// As the environment has it.
    pub fn to_text(&self) -> String {
        match self {
            Address::Path(path) => path.to_string_lossy().into_owned(),
            Address::Abstract(name) => format!("@{}", String::from_utf8_lossy(name)),
        }
    }

    /// As a socket wants it. Too long a path, or one with a NUL, is an error.
    pub fn to_socket(&self) -> io::Result<SocketAddr> {
        match self {
            Address::Path(path) => SocketAddr::from_pathname(path),
            Address::Abstract(name) => abstract_name(name),
        }
    }
}

#[cfg(target_os = "linux")]
fn abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}
