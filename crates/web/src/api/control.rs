//! What is recorded here: start, stop, read now, change, begin anew.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use barograph_session::Order;
use barograph_store::State as Progress;
use serde::Deserialize;

use super::session::{self, Session};
use super::{App, Shared, json, wait};
use crate::failure::{Answer, Failure};
use crate::library::Run;
use crate::making::{Making, Settings, Wanted, order};

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", deny_unknown_fields)]
enum Control {
    Start {
        #[serde(default)]
        settings: Wanted,
    },
    Stop {
        run: Option<String>,
    },
    Snapshot {
        run: Option<String>,
    },
    Reset {
        run: Option<String>,
    },
    Set {
        settings: Wanted,
        run: Option<String>,
    },
}

pub(super) async fn control(State(app): State<Shared>, headers: HeaderMap, said: Body) -> Answer<Json<Session>> {
    app.may_change()?;
    let control: Control = json(&headers, said).await?;
    wait(move || {
        act(&app, control)?;
        Ok(Json(session::of(&app)))
    })
    .await
}

fn act(app: &App, control: Control) -> Answer<()> {
    match control {
        Control::Start { settings } => start(app, Settings::default().with(settings)?),
        Control::Stop { run } => match others(app, run)? {
            Some(run) => {
                order(&run.path, &Order::Stop("stopped".to_owned()))?;
                run.look()
            }
            None => stop(app).map(drop),
        },
        Control::Snapshot { run } => match others(app, run)? {
            Some(run) => {
                order(&run.path, &Order::Read)?;
                run.look()
            }
            None => {
                let making = app.making();
                let making = making.as_ref().ok_or_else(nothing_goes_on)?;
                making.session.snapshot_now().map_err(Failure::failed)?;
                look(app, making);
                Ok(())
            }
        },
        Control::Reset { run } => match others(app, run)? {
            Some(_) => Err(Failure::conflict("another program makes this recording, and knows alone how: stop it, and start it again there")),
            None => {
                let settings = stop(app)?;
                start(app, settings)
            }
        },
        Control::Set { settings, run } => match others(app, run)? {
            Some(run) => {
                order(&run.path, &Order::Set(settings.change()?))?;
                run.look()
            }
            None => {
                let mut making = app.making();
                let making = making.as_mut().ok_or_else(nothing_goes_on)?;
                let settings = making.settings.with(settings)?;
                making.set(settings)?;
                app.library.tell();
                Ok(())
            }
        },
    }
}

fn nothing_goes_on() -> Failure {
    Failure::conflict("this server is not making a recording")
}

/// A run that somebody else's recorder makes; `None` for the one that is made here.
fn others(app: &App, run: Option<String>) -> Answer<Option<Arc<Run>>> {
    let Some(id) = run else { return Ok(None) };
    let run = app.library.run(&id)?;
    let is_ours = app.making().as_ref().is_some_and(|making| making.path() == run.path);
    if is_ours {
        return Ok(None);
    }
    if app.machine_run().is_some_and(|machine| machine.id == run.id) {
        return Err(Failure::conflict("this machine is recorded for as long as the page is served"));
    }
    run.look()?;
    if run.state() != Progress::Live {
        return Err(Failure::conflict("nobody records this any more"));
    }
    Ok(Some(run))
}

fn start(app: &App, settings: Settings) -> Answer<()> {
    let mut making = app.making();
    if let Some(making) = making.as_ref().filter(|making| making.session.is_running()) {
        return Err(Failure::conflict(format!("{} is being recorded: stop it first", making.path().display())));
    }
    let made = making.insert(Making::start(settings, &app.places)?);
    app.library.add(made.path());
    app.library.tell();
    Ok(())
}

/// Ends what is recorded, and returns how it was.
fn stop(app: &App) -> Answer<Settings> {
    let made = app.making().take().ok_or_else(nothing_goes_on)?;
    let stopped = made.stop();
    look(app, &made);
    app.library.tell();
    stopped.map(|()| made.settings)
}

/// Those who watch it should not have to wait.
fn look(app: &App, making: &Making) {
    if let Some(run) = app.library.at(making.path()) {
        // What can't be read now is read at the next look.
        let _ = run.look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_read_as_the_page_writes_them() {
        let said = |text: &str| serde_json::from_str::<Control>(text);
        assert!(matches!(said(r#"{"do":"start","settings":{"intervalSeconds":0.2}}"#), Ok(Control::Start { .. })));
        assert!(matches!(said(r#"{"do":"stop"}"#), Ok(Control::Stop { run: None })));
        assert!(matches!(said(r#"{"do":"snapshot","run":"ab"}"#), Ok(Control::Snapshot { run: Some(_) })));
        assert!(matches!(said(r#"{"do":"set","settings":{"processes":"none"},"run":"ab"}"#), Ok(Control::Set { .. })));
        for wrong in ["{}", r#"{"do":"erase"}"#, r#"{"do":"start","settings":{"path":3}}"#, r#"{"do":"stop","runs":"x"}"#, "[]"] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }
}
