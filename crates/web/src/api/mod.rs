//! What can be asked of the server, and what all answers have in common.

mod control;
mod difference;
pub(crate) mod events;
pub(crate) mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod live;
mod processes;
pub(crate) mod run;
mod session;
pub(crate) mod spans;
mod tree;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{any, get, post, put};
use axum::{Router, middleware};
use barograph_session::{Order, Turn};
use barograph_sources::{HostFacts, Machine as Kernel, Roots};
use barograph_store::State;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{interval, timeout};

use crate::assets;
use crate::failure::{Answer, Failure};
use crate::guard::{Guard, guard};
use crate::library::{Library, Run, is_recording};
use crate::machine::Machine;
use crate::making::{Making, Places, order};
use crate::server::Options;

/// Bytes of a request in JSON.
const JSON_BYTES: usize = 64 << 10;

/// Bytes of a file of events.
const CSV_BYTES: usize = 8 << 20;

/// A body has come by then, however slow the client.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Event streams at a time.
const STREAMS: usize = 256;

/// How often live recordings that somebody watches are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Everything that answers need.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) guard: Guard,
    pub(crate) library: Library,
    pub(crate) streams: Arc<Semaphore>,
    /// One for each core: lines are worked out in the order in which they were asked for, the first as soon as it can be.
    pub(crate) drawing: Semaphore,
    is_read_only: bool,
    places: Places,
    host: HostFacts,
    kernel: Result<Arc<Kernel>, String>,
    machine: Mutex<Option<Machine>>,
    cannot_record: Option<String>,
    making: Mutex<Option<Making>>,
}

/// It is shared by all connections.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(options: Options, address: SocketAddr) -> io::Result<App> {
        let kernel = Kernel::open(Roots::default()).map(Arc::new).map_err(|fault| fault.to_string());
        let host = kernel.as_ref().map(|kernel| HostFacts::read(kernel)).unwrap_or_default();
        let folders = options.paths.iter().filter(|path| path.is_dir() && !is_recording(path)).cloned();
        let places = Places::new([PathBuf::from(".")].into_iter().chain(folders));
        let library = Library::new(options.paths);
        library.look();
        let started = if options.read_only { Ok(None) } else { Machine::start().map(Some) };
        let (machine, cannot_record) = match started {
            Ok(machine) => (machine, options.read_only.then(|| "this server was started with --read-only".to_owned())),
            Err(why) => (None, Some(why)),
        };
        if let Some(machine) = &machine {
            library.add(machine.path());
        }
        Ok(App {
            guard: Guard::new(address.ip(), address.port(), &host.name)?,
            library,
            streams: Arc::new(Semaphore::new(STREAMS)),
            drawing: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            is_read_only: options.read_only,
            places,
            host,
            kernel,
            machine: Mutex::new(machine),
            cannot_record,
            making: Mutex::new(None),
        })
    }

    /// The name of this machine.
    pub(crate) fn host(&self) -> &str {
        &self.host.name
    }

    /// Why this machine is not recorded, if that was wanted.
    pub(crate) fn cannot_record(&self) -> Option<String> {
        self.cannot_record.clone().filter(|_| !self.is_read_only)
    }

    /// How many recordings there are, that of this machine left out.
    pub(crate) fn recordings(&self) -> usize {
        let machine = self.machine_run().map(|run| run.id.clone());
        self.library.runs().iter().filter(|run| Some(&run.id) != machine.as_ref()).count()
    }

    /// The recording of this machine.
    pub(crate) fn machine_run(&self) -> Option<Arc<Run>> {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        self.library.at(machine.as_ref()?.path())
    }

    /// Does what is due with the recording of this machine. Those who watch the list are told that another one is shown.
    fn turn(&self, now: Instant) {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(machine) = machine.as_mut() else { return };
        match machine.turn(now) {
            Turn::Same => {}
            Turn::Taken(_) => self.library.add(machine.path()),
            Turn::Removed(path) => self.library.forget(&path),
        }
    }

    /// Tells a recorder that somebody looks. One that doesn't hear is looked at as often as it writes.
    fn tell_watched(&self, run: &Run) {
        if self.is_read_only || run.facts().beacon.is_none() || run.facts().write_interval_seconds <= LOOK.as_secs_f64() {
            return;
        }
        if let Some(making) = self.making().as_ref().filter(|making| making.path() == run.path) {
            let _ = making.session.watched();
            return;
        }
        let _ = order(&run.path, &Order::Watched);
    }

    fn making(&self) -> MutexGuard<'_, Option<Making>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails unless things may be changed.
    fn may_change(&self) -> Answer<()> {
        if self.is_read_only {
            return Err(Failure::forbidden("this server was started with --read-only: nothing can be changed through it"));
        }
        Ok(())
    }

    /// Ends what is being recorded.
    pub(crate) fn end(&self) {
        if let Some(making) = self.making().take() {
            // Nobody is left to be told.
            let _ = making.stop();
        }
        if let Some(machine) = self.machine.lock().unwrap_or_else(PoisonError::into_inner).take() {
            machine.end();
        }
    }
}

/// Everything that is answered, and who may ask.
pub(crate) fn router(app: Shared) -> Router {
    Router::new()
        .route("/", get(assets::index))
        .route("/assets/page.js", get(assets::script))
        .route("/assets/page.css", get(assets::style))
        .route("/api/session", get(session::session))
        .route("/api/live", get(live::of_session))
        .route("/api/control", post(control::control))
        .route("/api/difference", get(difference::difference))
        .route("/api/tree", get(tree::tree))
        .route("/api/runs/{id}", get(run::run))
        .route("/api/runs/{id}/frame", get(frame::frame))
        .route("/api/runs/{id}/processes", get(processes::processes))
        .route("/api/runs/{id}/process", get(processes::life))
        .route("/api/runs/{id}/spans", get(spans::spans))
        .route("/api/runs/{id}/events", get(events::events).post(events::add))
        .route("/api/runs/{id}/events/import", post(events::import))
        .route("/api/runs/{id}/events/{key}", put(events::change).delete(events::remove))
        .route("/api/runs/{id}/events.csv", get(events::csv))
        .route("/api/runs/{id}/live", get(live::of_run))
        .route("/api/{*rest}", any(nothing))
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

async fn nothing() -> Failure {
    Failure::not_found("there is nothing at this address")
}

async fn not_so() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "this can't be asked so: another method is needed")
}

/// Looks now and then whether there is more of what somebody watches.
pub(crate) async fn watch(app: Shared) {
    let mut clock = interval(LOOK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let app = Arc::clone(&app);
        // Should it fail, the next look tells more.
        let _ = spawn_blocking(move || {
            app.turn(Instant::now());
            if app.library.is_watched() {
                app.library.look();
            }
            for run in watched(&app) {
                let _ = run.look();
            }
            app.library.let_go(Instant::now());
        })
        .await;
    }
}

/// How often recorders hear that somebody looks: they then write each second for ten.
const TELL: Duration = Duration::from_secs(5);

/// So many recorders are told at a time.
const TELLING: usize = 4;

/// Tells the recorders of what is looked at that somebody does: theirs may be long write intervals.
pub(crate) async fn tell_recorders(app: Shared) {
    let mut clock = interval(TELL);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let of_list = Arc::clone(&app);
        let runs = spawn_blocking(move || watched(&of_list)).await.unwrap_or_default();
        let app = &app;
        let tell = |run: Arc<Run>| {
            let app = Arc::clone(app);
            move || app.tell_watched(&run)
        };
        side_by_side(runs.into_iter().map(tell), TELLING).await;
    }
}

/// The recordings under way that somebody looks at.
fn watched(app: &App) -> Vec<Arc<Run>> {
    let mut runs = app.library.runs();
    runs.retain(|run| run.tick.receiver_count() > 0 && run.state() == State::Live);
    runs
}

/// Does all of these, so many at a time: one that waits for an answer holds no other up.
async fn side_by_side<F: FnOnce() + Send + 'static>(works: impl Iterator<Item = F>, most: usize) {
    let mut under_way = JoinSet::new();
    for work in works {
        if under_way.len() >= most {
            under_way.join_next().await;
        }
        under_way.spawn_blocking(work);
    }
    while under_way.join_next().await.is_some() {}
}

/// Does what may wait for a disk or a lock on a thread that may.
pub(crate) async fn wait<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    match spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::failed("this could not be answered; please report it, with what `barograph view` printed")),
    }
}

/// The run of this id, as it is now.
fn run_now(app: &App, id: &str) -> Answer<Arc<Run>> {
    let run = app.library.run(id)?;
    run.refresh()?;
    Ok(run)
}

/// The whole body, if it is neither too large nor too slow.
async fn body(body: Body, limit: usize) -> Answer<Bytes> {
    match timeout(BODY_PATIENCE, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("this is too large: no more than {} KiB are taken", limit >> 10))),
        Err(_) => Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "this came too slowly")),
    }
}

/// A body in JSON. Forms of other sites can't have this type.
async fn json<T: DeserializeOwned>(headers: &HeaderMap, said: Body) -> Answer<T> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is taken as application/json"));
    }
    let bytes = body(said, JSON_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::bad(format!("this makes no sense: {error}")))
}

/// What a query says, in words if it makes no sense.
struct Said<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Said<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Said<T>, Failure> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(said)| Said(said)).map_err(|error| Failure::bad(error.body_text()))
    }
}

/// A time of a query.
fn time(millis: Option<f64>, name: &str) -> Answer<Option<i64>> {
    match millis {
        Some(millis) if !millis.is_finite() => Err(Failure::bad(format!("{name} is no time: write milliseconds since 1970"))),
        millis => Ok(millis.map(crate::library::nanos)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::hour::{Hour, write};
    use barograph_store::Timeline;

    fn app(place: &std::path::Path) -> App {
        let options = Options { paths: vec![place.to_owned()], read_only: true, ..Options::default() };
        App::new(options, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_does_not_answer_holds_no_other_up() {
        let (meeting, met, most) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let now = Arc::new(AtomicUsize::new(0));
        let work = |_| {
            let (meeting, met, most, now) = (meeting.clone(), met.clone(), most.clone(), now.clone());
            move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Each goes on when three are there: one after the other they would wait for ever.
                meeting.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                met.fetch_add(1, Ordering::SeqCst);
            }
        };
        side_by_side((0..9).map(work), 3).await;
        assert_eq!(met.load(Ordering::SeqCst), 9);
        assert!(most.load(Ordering::SeqCst) <= 3);
    }

    #[test]
    fn spans_are_read_once_and_given_window_by_window() {
        let place = tempfile::tempdir().unwrap();
        write(&place.path().join("long.baro"), Hour { ticks: 100, processes: 1, spans: 20 });
        let app = app(place.path());
        let run = app.library.runs().remove(0);
        let whole = barograph_store::SpanQuery::default();
        let first = run.spans(&whole).unwrap();
        assert!(first.len() == 20 && Arc::ptr_eq(&first, &run.spans(&whole).unwrap()));
        let second = 1_000_000_000;
        let begin = crate::hour::BEGIN;
        for (from, to, limit) in [(0, 100, 99), (31, 33, 99), (40, 60, 2), (500, 600, 99), (-9, -1, 99)] {
            let query = barograph_store::SpanQuery { from: Some(begin + from * second), to: Some(begin + to * second), name: None };
            let fresh = Timeline::open(&run.path).unwrap().spans(&query).unwrap();
            let (of_all, of_few) = (serde_json::json!(spans::of(&first, &query, limit)), serde_json::json!(spans::of(&fresh, &query, limit)));
            assert_eq!(of_all, of_few);
            assert_eq!(of_all["spans"].as_array().unwrap().len(), fresh.len().min(limit));
        }
        // Another state of the recording is read anew.
        let mut file = std::fs::File::options().append(true).open(run.path.join("recording.json")).unwrap();
        std::io::Write::write_all(&mut file, b"\n").unwrap();
        drop(file);
        run.look().unwrap();
        assert!(!Arc::ptr_eq(&first, &run.spans(&whole).unwrap()));
        app.end();
    }

    #[test]
    fn recordings_that_nobody_asks_for_are_not_held() {
        let place = tempfile::tempdir().unwrap();
        for name in 0..6 {
            write(&place.path().join(format!("{name}.baro")), Hour { ticks: 2, processes: 1, spans: 0 });
        }
        let app = app(place.path());
        let runs = app.library.runs();
        let views: Vec<_> = runs.iter().map(|run| Arc::downgrade(&run.view().unwrap())).collect();
        let held = || views.iter().map(|view| view.strong_count() > 0).collect::<Vec<_>>();
        let now = Instant::now();
        app.library.let_go(now);
        assert_eq!(held(), [false, false, true, true, true, true], "those that were asked for last");
        let asked = runs[2].view().unwrap();
        let watching = runs[4].tick.subscribe();
        app.library.let_go(now + Duration::from_secs(3600));
        assert_eq!(held(), [false, false, true, false, true, false], "one is being read, and one is watched");
        drop((asked, watching));
        app.library.let_go(now + Duration::from_secs(3600));
        assert_eq!(held(), [false; 6]);
        assert!(runs[0].view().is_ok(), "it is opened again");
        app.end();
    }

    #[test]
    fn another_recording_of_this_machine_takes_its_place_and_pages_are_told() {
        let place = tempfile::tempdir().unwrap();
        let options = Options { paths: vec![place.path().to_owned()], ..Options::default() };
        let app = App::new(options, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let first = app.machine_run().unwrap();
        let mut changes = app.library.changes();
        let hours = |hours: u64| Instant::now() + Duration::from_secs(hours * 3600);
        app.turn(hours(4));
        assert!(app.machine_run().unwrap().id == first.id && !changes.has_changed().unwrap());
        app.turn(hours(6));
        let second = app.machine_run().unwrap();
        assert!(second.id != first.id && changes.has_changed().unwrap());
        assert!(app.library.run(&first.id).is_ok(), "who reads of it finishes");
        changes.mark_unchanged();
        app.turn(hours(7));
        assert!(app.library.run(&first.id).is_err() && changes.has_changed().unwrap() && !first.path.exists());
        app.end();
        assert!(!second.path.exists());
    }
}
