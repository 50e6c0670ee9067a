//! Telling the recorder of another process what to do: by its beacon, with an answer.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barograph_beacon::Address;
use barograph_record::Order;
use barograph_store::{self as store, Facts, State, Timeline, new_id};

/// How long a recorder may take to answer: it may be busy, or its disk slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often one looks whether it is still there.
const LOOK: Duration = Duration::from_millis(50);

/// What the name of the socket ends in at which we wait for an answer.
const SUFFIX: &str = ".answer";

/// Why an order was not followed.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The recording can't be read.
    #[error(transparent)]
    Recording(#[from] store::Error),
    /// Nobody records any more.
    #[error("{} has ended", place.display())]
    Ended {
        /// The recording, or where its recorder listened.
        place: PathBuf,
    },
    /// The recorder was killed.
    #[error("{}: its recorder is gone, and can be told nothing; `barograph repair` writes the end that it could not", place.display())]
    CutOff {
        /// The recording.
        place: PathBuf,
    },
    /// The recorder hears nobody.
    #[error("{}: its recorder, process {pid}, does not listen: {why}; send it SIGINT to end the recording", place.display())]
    Deaf {
        /// The recording.
        place: PathBuf,
        /// The recorder.
        pid: u64,
        /// Why it doesn't.
        why: String,
    },
    /// The recorder is another user's.
    #[error("{} is recorded by another user; only that user and root can change it", place.display())]
    Foreign {
        /// The recording, or where its recorder listens.
        place: PathBuf,
    },
    /// The recorder does not want to.
    #[error("{0}")]
    Refused(String),
    /// The recorder does not say whether it has done it.
    #[error("the recorder has not answered for {} seconds; it may be stopped, in another container, or wait for its disk", PATIENCE.as_secs())]
    NoAnswer,
    /// The recorder can't be reached.
    #[error("{}: its recorder can't be reached: {why}", place.display())]
    Unreachable {
        /// The recording, or where its recorder listens.
        place: PathBuf,
        /// What went wrong.
        why: io::Error,
    },
}

/// Tells the recorder of this recording what to do, and waits until that is done: what was read can be seen, what was changed holds, what was stopped has its
/// end.
pub fn order(recording: &Path, order: &Order) -> Result<(), OrderError> {
    let timeline = Timeline::open(recording)?;
    let place = || recording.to_owned();
    match timeline.state() {
        State::Ended => return Err(OrderError::Ended { place: place() }),
        State::Interrupted => return Err(OrderError::CutOff { place: place() }),
        State::Live => {}
    }
    tell(&address_of(recording, timeline.facts())?, order, recording)
}

/// Where the recorder of a recording that goes on can be told something.
pub(crate) fn address_of(recording: &Path, facts: &Facts) -> Result<Address, OrderError> {
    let place = || recording.to_owned();
    let Some(address) = facts.beacon.as_deref().and_then(|text| Address::parse(text.as_ref())) else {
        let why = facts.sources.get("beacon").map_or("it was not asked to", String::as_str).to_owned();
        return Err(OrderError::Deaf { place: place(), pid: facts.recorder.pid, why });
    };
    if matches!(address, Address::Abstract(_)) && is_of_another(facts) {
        return Err(OrderError::Foreign { place: place() });
    }
    Ok(address)
}

/// Sends it, and waits for room if the recorder is busy.
pub(crate) fn send(socket: &UnixDatagram, address: &Address, bytes: &[u8], place: &Path) -> Result<(), OrderError> {
    let failed = |error: io::Error| failure(error, place);
    let begin = Instant::now();
    socket.connect_addr(&address.to_socket().map_err(failed)?).map_err(failed)?;
    socket.set_write_timeout(Some(LOOK)).map_err(failed)?;
    while let Err(error) = socket.send(bytes) {
        let is_full = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&error.kind()) || error.raw_os_error() == Some(NO_BUFFERS);
        if !is_full {
            return Err(failed(error));
        }
        if begin.elapsed() > PATIENCE {
            return Err(OrderError::NoAnswer);
        }
    }
    Ok(())
}

/// The same for the recorder that listens at this address.
pub fn order_at(address: &Address, order: &Order) -> Result<(), OrderError> {
    tell(address, order, Path::new(&address.to_text()))
}

/// Whether the recorder's process is that of another user, as far as one can see. Root is everybody.
fn is_of_another(facts: &Facts) -> bool {
    let own = rustix::process::geteuid();
    let owner = fs::metadata(format!("/proc/{}", facts.recorder.pid)).map(|found| found.uid());
    !own.is_root() && owner.is_ok_and(|owner| owner != own.as_raw())
}

fn tell(address: &Address, order: &Order, place: &Path) -> Result<(), OrderError> {
    let failed = |error: io::Error| failure(error, place);
    let waiting = Waiting::bind(address);
    let socket = match &waiting {
        Ok(waiting) => &waiting.socket,
        // Where there is no place for an answer, the question is whether the recorder can be reached at all.
        Err(error) => {
            is_listening(address).map_err(failed)?;
            return Err(OrderError::Unreachable { place: place.to_owned(), why: io::Error::new(error.kind(), error.to_string()) });
        }
    };
    let begin = Instant::now();
    let id = new_id();
    socket.set_read_timeout(Some(LOOK)).map_err(failed)?;
    send(socket, address, &order.to_line(&id), place)?;
    // One that stops has done so when it listens no more: it has written its end by then.
    let is_stop = matches!(order, Order::Stop(_));
    let mut bytes = vec![0; 65_536];
    let mut answer = || socket.recv(&mut bytes).ok().and_then(|length| Order::answer(&bytes[..length], &id));
    while begin.elapsed() < PATIENCE {
        match answer() {
            Some(Ok(())) if !is_stop => return Ok(()),
            Some(Err(why)) => return Err(OrderError::Refused(why)),
            _ if is_listening(address).is_ok() => {}
            _ if is_stop => return Ok(()),
            // What it answered before it went may lie there.
            _ => return answer().and_then(Result::ok).ok_or_else(|| OrderError::Ended { place: place.to_owned() }),
        }
    }
    Err(OrderError::NoAnswer)
}

/// ENOBUFS: a full table of buffers passes.
const NO_BUFFERS: i32 = rustix::io::Errno::NOBUFS.raw_os_error();

/// Whether somebody listens there.
fn is_listening(address: &Address) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address.to_socket()?)?;
    socket.set_nonblocking(true)?;
    // A name without a folder is there for as long as any process has the socket open: nothing can be sent there any more.
    match socket.send(b"") {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

fn failure(error: io::Error, place: &Path) -> OrderError {
    let place = place.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied => OrderError::Foreign { place },
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            OrderError::Ended { place }
        }
        _ => OrderError::Unreachable { place, why: error },
    }
}

/// A socket at which an answer can come.
struct Waiting {
    socket: UnixDatagram,
    path: Option<PathBuf>,
}

impl Waiting {
    /// Beside the recorder's: who may write to the one may write to the other. The name is nobody else's.
    fn bind(address: &Address) -> io::Result<Waiting> {
        let id = new_id();
        match address {
            Address::Abstract(_) => {
                let name = Address::Abstract(format!("barograph/{id}{SUFFIX}").into_bytes());
                Ok(Waiting { socket: UnixDatagram::bind_addr(&name.to_socket()?)?, path: None })
            }
            Address::Path(path) => {
                // No longer than the recorder's own name, whose path has just room enough.
                let path = path.with_file_name(format!("{}{SUFFIX}", &id[..16]));
                let waiting = Waiting { socket: UnixDatagram::bind(&path)?, path: Some(path.clone()) };
                // Root may speak to the recorder of a user. The folder lets nobody else in.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
                Ok(waiting)
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It may be gone already.
            let _ = fs::remove_file(path);
        }
    }
}
