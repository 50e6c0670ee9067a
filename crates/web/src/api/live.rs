//! Event streams: that a recording grows, that its facts are others, that the list changed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

use super::{App, Shared, run_now, wait};
use crate::failure::{Answer, Failure};
use crate::library::{Run, Tick, millis, state_name};

/// A comment is sent as often, so that a connection that is dead is noticed.
const COMMENT: Duration = Duration::from_secs(15);

type Told = Result<Event, Infallible>;

pub(super) async fn of_run(State(app): State<Shared>, Path(id): Path<String>) -> Answer<Sse<impl Stream<Item = Told>>> {
    let place = place(&app)?;
    let run = wait(move || run_now(&app, &id)).await?;
    // It begins with what is now: something may have come since the page asked.
    let news = News { ticks: WatchStream::new(run.tick.subscribe()), last: None, waiting: VecDeque::new(), _place: place, _run: run };
    Ok(Sse::new(news).keep_alive(KeepAlive::new().interval(COMMENT)))
}

pub(super) async fn of_session(State(app): State<Shared>) -> Answer<Sse<impl Stream<Item = Told>>> {
    let place = place(&app)?;
    let stream = WatchStream::new(app.library.changes()).map(move |_| {
        let _held = &place;
        Ok(event("runs", &json!({})))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(COMMENT)))
}

/// A stream is held open for as long as somebody looks.
fn place(app: &App) -> Answer<OwnedSemaphorePermit> {
    let full = |_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open: close some of them");
    Arc::clone(&app.streams).try_acquire_owned().map_err(full)
}

fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

/// What those who watch a recording are told.
struct News {
    ticks: WatchStream<Tick>,
    last: Option<Tick>,
    waiting: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
    _run: Arc<Run>,
}

impl Stream for News {
    type Item = Told;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Told>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match Pin::new(&mut self.ticks).poll_next(context) {
                Poll::Ready(Some(tick)) => {
                    let last = self.last.replace(tick);
                    self.waiting.extend(new_of(last, tick));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What is new of a recording.
fn new_of(last: Option<Tick>, tick: Tick) -> impl Iterator<Item = Event> {
    let has_grown = last.is_none_or(|last| (last.to, last.stamp) != (tick.to, tick.stamp));
    let has_facts = last.is_some_and(|last| last.facts != tick.facts);
    let has_state = last.is_none_or(|last| last.state != tick.state);
    let grown = has_grown.then(|| event("grown", &json!({ "to": millis(tick.to) })));
    let facts = has_facts.then(|| event("facts", &json!({})));
    let state = has_state.then(|| event("state", &json!({ "state": state_name(tick.state) })));
    [grown, facts, state].into_iter().flatten()
}
