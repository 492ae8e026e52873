//! The steps of automations at the listener: `/v1/approvals` asks whether a step may be done, `/v1/calls/CALL/outcome` says what became of it.
//!
//! Only the HTTP of it: bodies and answers are read and written in `surfaces::workflow`, and a step is driven as every call is. A question is worked on in a task of its own; if
//! its client leaves before it is answered, it is taken back.
#![expect(clippy::result_large_err, reason = "an answer that is no is made once in a request")]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use evidence::ids::{ApprovalId, CallId, RunId};
use evidence::record::{ActionEvent, Body, Channel, ExceptionKind, Status, Surface};
use evidence::time::Timestamp;
use governance::call::Reply;
use governance::intercept::Intercepted;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use surfaces::govern::Session as _;
use surfaces::limits::{REQUEST_BODY_MS, STEP_BODY_BYTES_MAX, STEP_WAIT_S_MAX};
use surfaces::mcp::downstream::http::{AdmitError, Caller, McpEndpoint};
use surfaces::workflow::answer::{self, APPROVALS, problem};
use surfaces::workflow::body::{Ask, BodyFault, Report};
use surfaces::workflow::step::{Attended, End, Full, Step, Steps, Untaken};
use tokio::sync::oneshot;

use crate::Gateway;
use crate::approvals::{ApprovalState, ApprovalView};
use crate::gate::{Closed, RunGate, said};
use crate::limits::AUTOMATIONS_MAX;
use crate::missions::Policy;
use crate::refusals::Sort;
use crate::runs::Run;
use crate::session::{AgentSession, Proof};

/// Where the addresses of this surface begin.
pub(crate) const PREFIX: &str = "/v1/";

/// Serves automations.
pub(crate) struct Workflow {
    gate: Arc<RunGate>,
    gateway: Arc<Gateway>,
    sessions: Mutex<Sessions>,
    steps: Arc<Steps>,
}

/// The sessions of runs at engines.
type Sessions = HashMap<(RunId, Arc<str>), Arc<AgentSession>>;

/// What a request is about.
#[derive(Clone, Copy)]
enum Route {
    Approval(ApprovalId),
    Approvals,
    Outcome(CallId),
}

type Answered = Result<Response<Bytes>, Response<Bytes>>;

/// Takes a question back when it is dropped before it was answered: its client has left.
struct Waiting(Option<oneshot::Sender<()>>);

impl Waiting {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _over_already = sender.send(());
        }
    }
}

impl Workflow {
    pub(crate) fn new(gate: Arc<RunGate>, gateway: Arc<Gateway>) -> Self {
        Self { gate, gateway, sessions: Mutex::default(), steps: Arc::default() }
    }

    /// Closes what is open as unknown, and waits for the records.
    pub(crate) async fn close(&self) {
        self.steps.close().await;
    }

    /// Answers one request.
    pub(crate) async fn serve(&self, mcp: &McpEndpoint<RunGate>, request: Request<Incoming>) -> Response<Bytes> {
        self.respond(mcp, request).await.unwrap_or_else(|refused| refused)
    }

    async fn respond(&self, mcp: &McpEndpoint<RunGate>, request: Request<Incoming>) -> Answered {
        let (head, body) = request.into_parts();
        let head = Request::from_parts(head, ());
        let credentials = mcp.credentials(&head).map_err(|(status, told)| problem(status, &said(&told)))?;
        let caller = Caller { bearer: credentials.bearer, host: credentials.host, server: "" };
        let route = Route::of(head.uri().path()).ok_or_else(|| {
            problem(
                StatusCode::NOT_FOUND,
                "nothing here; POST /v1/approvals, GET /v1/approvals/ID, POST /v1/calls/CALL/outcome",
            )
        })?;
        let closed = if matches!(route, Route::Outcome(_)) { Closed::Let } else { Closed::Refused };
        let (run, policy) = self.gate.automation(caller, closed).map_err(|error| not_admitted(&error, caller))?;
        let answered = match (route, head.method()) {
            (Route::Approvals, &Method::POST) => {
                let body = read(head.headers(), body).await?;
                self.ask(run.clone(), policy, &body).await
            }
            (Route::Approval(approval), &Method::GET) => {
                let wait_s = wait_s(head.uri().query())?;
                self.look(&run, approval, wait_s).await
            }
            (Route::Outcome(call), &Method::POST) => {
                let body = read(head.headers(), body).await?;
                self.report(&run, call, &body).await
            }
            (Route::Approval(_), _) => Err(answer::only("GET")),
            (Route::Approvals | Route::Outcome(_), _) => Err(answer::only("POST")),
        };
        answered.inspect_err(|refused| {
            if refused.status() == StatusCode::BAD_REQUEST {
                let sort =
                    Sort { kind: ExceptionKind::Access, name: "step".to_owned(), scope: format!("run:{}", run.id) };
                self.gateway.note_refusal(sort, "a request about a step was not of its form");
            }
        })
    }

    /// Asks whether a step may be done.
    async fn ask(&self, run: Arc<Run>, policy: Policy, body: &[u8]) -> Answered {
        let Ask { arguments, tool, wait_s } = Ask::read(body).map_err(unread)?;
        let place = self.steps.place(run.id).map_err(|full| match full {
            Full::Run => problem(StatusCode::TOO_MANY_REQUESTS, &full.to_string()),
            Full::All => answer::later(problem(StatusCode::SERVICE_UNAVAILABLE, &full.to_string())),
        })?;
        let engine = tool.upstream.clone();
        let report_within = Duration::from_secs(policy.load().mission().report_within_s(&engine));
        let agent = run.terms.agent.name.clone();
        let session = self.session(run, policy, engine).await?;
        let call = session.call_id();
        let intercepted = Intercepted::new(call, session.context(), tool, arguments, None);
        let (step, Attended { ending, go_ahead }) = Step::new(place, call, agent, report_within, wait_s);
        let (leave, mut left) = oneshot::channel();
        let (sender, reply) = oneshot::channel();
        tokio::spawn(async move {
            let answered = session.govern(intercepted, step, &mut left).await;
            ending.note(answered.as_ref().map(|answered| &answered.reply));
            // Whoever reports what became of a step knows it.
            if let Some(surfaces::govern::Answered { receipt: Some(receipt), reply }) = &answered
                && matches!(
                    reply,
                    Reply::Passed(_) | Reply::Failed(_, Status::Done | Status::NotExecuted | Status::ToolError)
                )
            {
                receipt.acknowledge();
            }
            let _left = sender.send(answered);
        });
        let waiting = Waiting(Some(leave));
        let (reply, receipt) = match go_ahead.await {
            Ok(reply) => (Some(reply), None),
            Err(_ended) => reply.await.ok().flatten().map(|answered| (answered.reply, answered.receipt)).unzip(),
        };
        waiting.answered();
        if let Some(receipt) = receipt.flatten() {
            receipt.acknowledge();
        }
        Ok(answer::replied(reply))
    }

    /// The session of a run at an engine, which is recorded when the run first asks there.
    async fn session(
        &self,
        run: Arc<Run>,
        policy: Policy,
        engine: Arc<str>,
    ) -> Result<Arc<AgentSession>, Response<Bytes>> {
        let place = (run.id, engine.clone());
        if let Some(known) = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&place) {
            return Ok(known.clone());
        }
        let session = AgentSession::new(self.gateway.clone(), run, policy, engine.clone(), Proof::RunToken);
        let channel = Channel {
            client: None,
            protocol: None,
            surface: Surface::Workflow,
            transport: "http".to_owned(),
            upstream: engine.to_string(),
        };
        let opened = session.opened(channel).await;
        opened.map_err(|refusal| answer::later(problem(StatusCode::SERVICE_UNAVAILABLE, &refusal.sentence)))?;
        let session = Arc::new(session);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= AUTOMATIONS_MAX {
            sessions.clear();
        }
        Ok(sessions.entry(place).or_insert(session).clone())
    }

    /// How an approval of the run stands, once it is not open any more or the time to wait is over.
    async fn look(&self, run: &Run, approval: ApprovalId, wait_s: u64) -> Answered {
        let unknown = || problem(StatusCode::NOT_FOUND, "no approval of this run has this id");
        let view = || self.gateway.approvals.of_run(run.id, approval).ok_or_else(unknown);
        let seen = view()?;
        if seen.state == ApprovalState::Open && wait_s > 0 {
            tokio::select! {
                () = self.gateway.approvals.answered(approval) => {}
                () = tokio::time::sleep(Duration::from_secs(wait_s)) => {}
                () = self.gateway.stopped() => {}
            }
        }
        let seen = view()?;
        let told = answer::told(&Seen::of(&seen));
        Ok(if seen.state == ApprovalState::Open { answer::later(told) } else { told })
    }

    /// Takes what became of a step.
    async fn report(&self, run: &Run, call: CallId, body: &[u8]) -> Answered {
        let report = Report::read(body).map_err(unread)?;
        let status = report.status;
        match self.steps.report(run.id, call, report) {
            Ok(mut end) => {
                let end = end.wait_for(Option::is_some).await.ok().and_then(|end| *end);
                match end {
                    Some(End::Recorded) => Ok(answer::closed(call, status)),
                    Some(End::Unrecorded) | None => Err(problem(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the report could not be recorded; the step will be closed as unknown, and a person asks what became of it",
                    )),
                }
            }
            Err(again @ Untaken::Again) => Err(problem(StatusCode::CONFLICT, &again.to_string())),
            Err(Untaken::NotOpen) => Err(self.closed(run.id, call).await),
        }
    }

    /// What is told of a step that is not open: how it was closed, if it was one of this run.
    async fn closed(&self, run: RunId, call: CallId) -> Response<Bytes> {
        let status = match self.gateway.ledger.reader() {
            Ok(reader) => tokio::task::spawn_blocking(move || {
                let records = reader.call(call).unwrap_or_default();
                let end =
                    records.into_iter().filter(|record| record.correlation.run == Some(run)).try_for_each(|record| {
                        match record.body {
                            Body::Action(action)
                                if action.event == ActionEvent::Outcome && action.tool.surface == Surface::Workflow =>
                            {
                                ControlFlow::Break(action.status)
                            }
                            _ => ControlFlow::Continue(()),
                        }
                    });
                end.break_value().flatten()
            })
            .await
            .ok()
            .flatten(),
            Err(_) => None,
        };
        match status {
            Some(Status::Unknown) => problem(
                StatusCode::CONFLICT,
                "the step was closed as `unknown`: no report came in time, or the gateway ended; its exception asks what became of it, so tell the person you work for",
            ),
            Some(status) => {
                problem(StatusCode::CONFLICT, &format!("the step was closed as `{status}`; the first report stands"))
            }
            None => problem(StatusCode::NOT_FOUND, &Untaken::NotOpen.to_string()),
        }
    }
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        if path == APPROVALS {
            return Some(Self::Approvals);
        }
        if let Some(approval) = path.strip_prefix(APPROVALS).and_then(|rest| rest.strip_prefix('/')) {
            return approval.parse().ok().map(Self::Approval);
        }
        path.strip_prefix("/v1/calls/")?.strip_suffix("/outcome")?.parse().ok().map(Self::Outcome)
    }
}

/// An approval, for the automation that waits for it.
#[derive(Serialize)]
struct Seen<'a> {
    approval: ApprovalId,
    gates: Vec<&'a str>,
    not_after: Option<Timestamp>,
    respond_by: Timestamp,
    standing: &'a [String],
    state: &'static str,
}

impl<'a> Seen<'a> {
    fn of(view: &'a ApprovalView) -> Self {
        Self {
            approval: view.approval,
            gates: view.gates.iter().map(|gate| &*gate.name).collect(),
            not_after: view.not_after,
            respond_by: view.respond_by,
            standing: &view.standing,
            state: match view.state {
                ApprovalState::Approved => "approved",
                ApprovalState::Denied => "denied",
                ApprovalState::Edited => "edited",
                ApprovalState::Expired => "expired",
                ApprovalState::Open => "pending",
                ApprovalState::Released => "released",
                ApprovalState::Revoked => "revoked",
                ApprovalState::Used => "used",
                ApprovalState::Withdrawn => "withdrawn",
            },
        }
    }
}

/// Reads a body of JSON.
async fn read(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Response<Bytes>> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).and_then(|kind| kind.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, as `Content-Type: application/json`"));
    }
    let limited = Limited::new(body, STEP_BODY_BYTES_MAX).collect();
    match tokio::time::timeout(Duration::from_millis(REQUEST_BODY_MS), limited).await {
        Err(_late) => Err(problem(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("the body is larger than {STEP_BODY_BYTES_MAX} bytes; send less");
            Err(problem(StatusCode::PAYLOAD_TOO_LARGE, &text))
        }
        Ok(Err(_broken)) => Err(problem(StatusCode::BAD_REQUEST, "the body broke off")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// For how many seconds a request waits: `wait_s`, the one thing that a query may say.
fn wait_s(query: Option<&str>) -> Result<u64, Response<Bytes>> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(0) };
    let seconds = query.strip_prefix("wait_s=").and_then(|seconds| seconds.parse().ok());
    seconds.filter(|seconds| *seconds <= STEP_WAIT_S_MAX).ok_or_else(|| {
        let text = format!("the query is `wait_s=SECONDS`, {STEP_WAIT_S_MAX} at most, or nothing");
        problem(StatusCode::BAD_REQUEST, &text)
    })
}

fn unread(fault: BodyFault) -> Response<Bytes> {
    problem(StatusCode::BAD_REQUEST, &fault.to_string())
}

/// What an automation is told that is not let in (RFC 6750, section 3).
fn not_admitted(error: &AdmitError, caller: Caller<'_>) -> Response<Bytes> {
    let (status, challenge) = match (error, caller.bearer) {
        (AdmitError::Unauthorized(_), Some(_)) => {
            (StatusCode::UNAUTHORIZED, Some(r#"Bearer realm="countersign", error="invalid_token""#))
        }
        (AdmitError::Unauthorized(_), None) => (StatusCode::UNAUTHORIZED, Some(r#"Bearer realm="countersign""#)),
        (AdmitError::Forbidden(_) | AdmitError::InsufficientScope { .. }, _) => (StatusCode::FORBIDDEN, None),
        (AdmitError::Unavailable(_) | AdmitError::Unexamined, _) => (StatusCode::SERVICE_UNAVAILABLE, None),
        (AdmitError::UnknownServer(_), _) => (StatusCode::NOT_FOUND, None),
    };
    let refused = problem(status, &error.to_string());
    match challenge {
        Some(challenge) => answer::with(refused, WWW_AUTHENTICATE, HeaderValue::from_static(challenge)),
        None => refused,
    }
}
