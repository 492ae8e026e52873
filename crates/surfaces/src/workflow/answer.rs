//! What an automation is told, in HTTP: JSON, and problem details (RFC 9457) where the answer is no.

use bytes::Bytes;
use governance::call::{Awaits, Pending, Refusal, Reply};
use governance::evidence::ids::{ApprovalId, CallId};
use governance::evidence::record::Status;
use governance::evidence::time::Timestamp;
use governance::reason::Reason;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::limits::STEP_RETRY_S;

/// Where the address of an approval begins.
pub const APPROVALS: &str = "/v1/approvals";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// That the automation may do its step, once.
#[must_use]
pub(super) fn go_ahead(call: CallId, approval: Option<ApprovalId>, report_by: Timestamp) -> Bytes {
    #[derive(Serialize)]
    struct GoAhead {
        approval: Option<ApprovalId>,
        call: CallId,
        report_by: Timestamp,
        state: &'static str,
    }
    written(&GoAhead { approval, call, report_by, state: "approved" })
}

/// The answer to a question about a step.
#[must_use]
pub fn replied(reply: Option<Reply>) -> Response<Bytes> {
    match reply {
        Some(Reply::Passed(body)) => respond(StatusCode::OK, JSON, body),
        Some(Reply::Denied(refusal)) => refused(StatusCode::FORBIDDEN, "denied", &refusal),
        Some(Reply::Failed(refusal, _)) => later(refused(StatusCode::SERVICE_UNAVAILABLE, "failed", &refusal)),
        Some(Reply::Pending(pending)) => waiting(&pending),
        // What was done before is known to whoever reported it; here it is said that it is not done again.
        Some(Reply::Replayed(replayed)) => refused(StatusCode::CONFLICT, "closed", &replayed.refusal),
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the question was taken back"),
    }
}

/// That people are asked.
fn waiting(pending: &Pending) -> Response<Bytes> {
    #[derive(Serialize)]
    struct Waiting<'a> {
        approval: ApprovalId,
        gates: Vec<&'a str>,
        respond_by: Timestamp,
        state: &'static str,
    }
    let Pending { approval, awaits, gates } = pending;
    let Awaits::Answers { respond_by } = awaits else {
        let sentence =
            "this very step has gone ahead and is not reported yet; report what became of it, and do not repeat it";
        let refusal = Refusal { proposed: None, reason: Reason::OutcomeAwaited, sentence: sentence.into() };
        return refused(StatusCode::CONFLICT, "open", &refusal);
    };
    let gates = gates.iter().map(AsRef::as_ref).collect();
    let body = written(&Waiting { approval: *approval, gates, respond_by: *respond_by, state: "pending" });
    let response = later(respond(StatusCode::ACCEPTED, JSON, body));
    match HeaderValue::from_str(&format!("{APPROVALS}/{approval}")) {
        Ok(location) => with(response, LOCATION, location),
        Err(_) => response,
    }
}

/// The answer to a report that is durable.
#[must_use]
pub fn closed(call: CallId, status: Status) -> Response<Bytes> {
    #[derive(Serialize)]
    struct Closed {
        call: CallId,
        status: Status,
    }
    respond(StatusCode::OK, JSON, written(&Closed { call, status }))
}

/// Something as JSON.
#[must_use]
pub fn told(body: &impl Serialize) -> Response<Bytes> {
    respond(StatusCode::OK, JSON, written(body))
}

/// A no that is no decision.
#[must_use]
pub fn problem(status: StatusCode, detail: &str) -> Response<Bytes> {
    respond(
        status,
        PROBLEM,
        written(&Problem {
            detail,
            proposed: None,
            reason: None,
            state: None,
            status: status.as_u16(),
            title: title(status),
        }),
    )
}

/// That another method is meant.
#[must_use]
pub fn only(method: &'static str) -> Response<Bytes> {
    let response = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("use {method}"));
    with(response, ALLOW, HeaderValue::from_static(method))
}

/// The same, to be tried again after a while.
#[must_use]
pub fn later(response: Response<Bytes>) -> Response<Bytes> {
    with(response, RETRY_AFTER, HeaderValue::from(STEP_RETRY_S))
}

/// The same, with a header.
#[must_use]
pub fn with(mut response: Response<Bytes>, name: HeaderName, value: HeaderValue) -> Response<Bytes> {
    response.headers_mut().insert(name, value);
    response
}

/// Problem details, with the state and stable reason of a step.
#[derive(Serialize)]
struct Problem<'a> {
    detail: &'a str,
    /// The arguments that a person proposes instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    status: u16,
    title: &'static str,
}

fn refused(status: StatusCode, state: &'static str, refusal: &Refusal) -> Response<Bytes> {
    let Refusal { proposed, reason, sentence } = refusal;
    let problem = Problem {
        detail: sentence,
        proposed: proposed.as_deref().and_then(|proposed| serde_json::from_str(proposed).ok()),
        reason: Some(reason.code()),
        state: Some(state),
        status: status.as_u16(),
        title: title(status),
    };
    respond(status, PROBLEM, written(&problem))
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Refused")
}

fn written(body: &impl Serialize) -> Bytes {
    // Writing plain fields to memory cannot fail; an empty body says nothing.
    serde_json::to_vec(body).map(Bytes::from).unwrap_or_default()
}

fn respond(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
