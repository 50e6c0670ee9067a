//! The server: what it listens to, how patient it is, and how it ends.

use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use barograph_session::{is_ignored, share_heap};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::api::{self, App, Shared};
use crate::library::Refused;

/// Where it listens unless told: the mean pressure at sea level in tenths of a hectopascal.
pub const DEFAULT_PORT: u16 = 10132;

/// Connections at a time. Who comes later waits until one of them ends.
const CONNECTIONS: usize = 512;

/// A client has so long to say what it wants, also when it is about to ask the next thing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that takes nothing for so long has gone, in milliseconds.
const STALLED_MILLIS: u32 = 30_000;

/// How long threads may go on when we end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Threads that may wait for disks at a time.
const WAITING_THREADS: usize = 16;

/// What is shown, and to whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// Recordings, and folders with recordings.
    pub paths: Vec<PathBuf>,
    /// The address to listen at.
    pub bind: IpAddr,
    /// The port; 0 is any that is free. Without one, that of [`DEFAULT_PORT`], or any if it is taken.
    pub port: Option<u16>,
    /// Whether nothing may be changed or recorded.
    pub read_only: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { paths: Vec::new(), bind: Ipv4Addr::LOCALHOST.into(), port: None, read_only: false }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error("port {0} is taken; choose another with --port, or any that is free with --port 0")]
    Taken(u16),
    /// This user may not listen there.
    #[error("port {0} is not for this user: ports below 1024 are root's; choose another with --port")]
    Denied(u16),
    /// The machine has no such address.
    #[error("{0} is no address of this machine; `--bind 127.0.0.1` is this machine alone, `--bind 0.0.0.0` all its addresses")]
    NoAddress(IpAddr),
    /// Something else.
    #[error("can't listen at {at}: {source}")]
    Listen {
        /// Where.
        at: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There are no threads, or no random numbers.
    #[error("can't serve: {0}")]
    System(#[from] io::Error),
}

/// A server that listens, and answers once it runs.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    app: Shared,
    /// SIGINT, SIGTERM and SIGHUP, from before anything is recorded and the address is told. Below nohup(1) a terminal that goes is no reason to end.
    signals: (Signal, Signal, Option<Signal>),
}

impl Server {
    /// Listens, looks for the recordings, and begins to record this machine, unless it is to be read-only.
    pub fn bind(options: Options) -> Result<Server, Error> {
        // Sixteen threads would each keep what they needed when they were at their busiest.
        share_heap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(WAITING_THREADS).enable_all().build()?;
        let listener = runtime.block_on(listen(options.bind, options.port))?;
        let address = listener.local_addr()?;
        let signals = {
            let _within = runtime.enter();
            let hangup = SignalKind::hangup();
            let hangup = if is_ignored(hangup.as_raw_value()) { None } else { Some(signal(hangup)?) };
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, hangup)
        };
        let app = Arc::new(App::new(options, address)?);
        Ok(Server { runtime, listener, address, app, signals })
    }

    /// The address that is listened at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a request must know.
    pub fn token(&self) -> &str {
        self.app.guard.token()
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        self.url_with(self.token())
    }

    /// The same, good for one minute and one time: it will stand in the arguments of a program, which all users can read.
    pub fn url_for_browser(&self) -> Result<String, Error> {
        Ok(self.url_with(&self.app.guard.ticket()?))
    }

    /// Where a browser of another machine finds it, if it can.
    pub fn url_for_others(&self) -> Option<String> {
        let address = self.address.ip();
        let host = if address.is_unspecified() { self.app.host().to_owned() } else { return None };
        Some(format!("http://{host}:{}/?token={}", self.address.port(), self.token()))
    }

    fn url_with(&self, token: &str) -> String {
        let host = match self.address.ip() {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            IpAddr::V6(address) if address.is_unspecified() => "[::1]".to_owned(),
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        format!("http://{host}:{}/?token={token}", self.address.port())
    }

    /// How many recordings there are to be seen, that of this machine left out.
    pub fn recordings(&self) -> usize {
        self.app.recordings()
    }

    /// What was given and can't be shown.
    pub fn refused(&self) -> Vec<Refused> {
        self.app.library.refused()
    }

    /// Why this machine is not recorded; `None` if it is, or was not to be.
    pub fn cannot_record(&self) -> Option<String> {
        self.app.cannot_record()
    }

    /// Answers until SIGINT, SIGTERM or SIGHUP comes. Then what is being recorded is ended, with nothing lost.
    pub fn run(self) {
        let Server { runtime, listener, app, signals: (mut interrupt, mut terminate, mut hangup), .. } = self;
        let signalled = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = heard(hangup.as_mut()) => {}
            }
        };
        answer_until(runtime, listener, &app, signalled);
    }

    /// Answers until this is over.
    pub fn run_until(self, over: impl Future<Output = ()>) {
        answer_until(self.runtime, self.listener, &self.app, over);
    }
}

/// Ends when the signal comes, which never does if it is not heeded.
async fn heard(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}

fn answer_until(runtime: Runtime, listener: TcpListener, app: &Shared, over: impl Future<Output = ()>) {
    let router = api::router(Arc::clone(app));
    runtime.block_on(async {
        tokio::select! {
            () = accept(listener, router) => {}
            () = api::watch(Arc::clone(app)) => {}
            () = api::tell_recorders(Arc::clone(app)) => {}
            () = over => {}
        }
    });
    runtime.shutdown_timeout(LAST_WORDS);
    app.end();
}

async fn listen(bind: IpAddr, port: Option<u16>) -> Result<TcpListener, Error> {
    let at = SocketAddr::new(bind, port.unwrap_or(DEFAULT_PORT));
    let source = match TcpListener::bind(at).await {
        Ok(listener) => return Ok(listener),
        Err(source) => source,
    };
    match source.kind() {
        // Nobody asked for that one.
        io::ErrorKind::AddrInUse if port.is_none() => {
            let at = SocketAddr::new(bind, 0);
            TcpListener::bind(at).await.map_err(|source| Error::Listen { at, source })
        }
        io::ErrorKind::AddrInUse => Err(Error::Taken(at.port())),
        io::ErrorKind::PermissionDenied => Err(Error::Denied(at.port())),
        io::ErrorKind::AddrNotAvailable => Err(Error::NoAddress(bind)),
        _ => Err(Error::Listen { at, source }),
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    serve(stream, router).await;
                    drop(place);
                });
            }
            // No descriptors are left, or the client went: neither is an end.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // Small answers should not wait for each other. That this can't be had is no reason not to answer.
    let _ = stream.set_nodelay(true);
    // Also counts while the client's window is closed, so that one that reads nothing does not stay for ever.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STALLED_MILLIS);
    let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(MOST_HEADER);
    // Whatever ends a connection is the client's affair.
    let _ = connection.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}

/// Bytes of a request's head: an address with the specs of all panels is long.
const MOST_HEADER: usize = 128 << 10;
