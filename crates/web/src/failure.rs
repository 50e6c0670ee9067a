//! What is answered when something can't be done: a status, and a sentence that says what to do.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use barograph_session::OrderError;
use serde_json::json;

/// Why a request got nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
}

pub(crate) type Answer<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Failure {
        Failure { status, error: error.into() }
    }

    /// The question makes no sense.
    pub(crate) fn bad(error: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn not_found(error: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, error)
    }

    pub(crate) fn forbidden(error: impl Into<String>) -> Failure {
        Failure::new(StatusCode::FORBIDDEN, error)
    }

    /// It makes sense, but not now: something else goes on, or has ended.
    pub(crate) fn conflict(error: impl Into<String>) -> Failure {
        Failure::new(StatusCode::CONFLICT, error)
    }

    /// The disk or the machine said no; whose words these are says so.
    pub(crate) fn failed(error: impl std::fmt::Display) -> Failure {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}

impl From<barograph_store::Error> for Failure {
    fn from(error: barograph_store::Error) -> Failure {
        use barograph_store::Error;
        let status = match error {
            Error::Missing { .. } | Error::NoEvent { .. } => StatusCode::NOT_FOUND,
            Error::NoTable { .. } | Error::NoColumn { .. } | Error::NotNumeric { .. } => StatusCode::BAD_REQUEST,
            Error::NotRevisable { .. } => StatusCode::FORBIDDEN,
            Error::Live { .. } | Error::Exists { .. } | Error::Unsteady { .. } => StatusCode::CONFLICT,
            Error::Disk { .. } | Error::NotARecording { .. } | Error::TooNew { .. } | Error::Facts { .. } | Error::Part { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Failure::new(status, error.to_string())
    }
}

impl From<barograph_view::Error> for Failure {
    fn from(error: barograph_view::Error) -> Failure {
        use barograph_view::Error;
        match error {
            Error::Store(error) => error.into(),
            Error::Window | Error::NoTable { .. } | Error::NoColumn { .. } | Error::NoColumns { .. } => Failure::bad(error.to_string()),
        }
    }
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Failure {
        match error {
            OrderError::Recording(error) => error.into(),
            OrderError::Foreign { .. } => Failure::forbidden(error.to_string()),
            OrderError::NoAnswer | OrderError::Unreachable { .. } => Failure::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            OrderError::Ended { .. } | OrderError::CutOff { .. } | OrderError::Deaf { .. } | OrderError::Refused(_) => {
                Failure::conflict(error.to_string())
            }
        }
    }
}
