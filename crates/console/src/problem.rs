//! What goes wrong, as RFC 9457 says it: a stable code, what is wrong, and how to mend it.

use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use evidence::approvals::Illegal;
use gateway::approvals::{AskError, ReviewError};
use gateway::content::OpenContentError;
use gateway::export::ExportError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What every problem's type begins with; its code follows.
const TYPE: &str = "https://countersign.dev/problems/";

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:ident, $title:literal, $mend:literal;)+) => {
        /// What sort of problem it is. Codes are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The status that goes with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            const fn mend(self) -> &'static str {
                match self { $(Self::$variant => $mend,)+ }
            }
        }
    };
}

codes! {
    /// The person has answered already.
    AnsweredAlready = "answered_already", CONFLICT, "This person has answered", "withdraw the answer first, if it is to change";
    /// The approval takes no more answers.
    ApprovalClosed = "approval_closed", CONFLICT, "The approval is not open", "nothing is to be done; show it to see how it ended";
    /// There is no such approval.
    ApprovalUnknown = "approval_unknown", NOT_FOUND, "There is no such approval", "list approvals to see those that there are";
    /// The body is larger than a request's may be.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large", "send less";
    /// Nothing is kept of the content of the call.
    ContentUnkept = "content_unkept", NOT_FOUND, "Nothing is kept of the content of this call", "the ledger has its digests; docs/organisation.md says what is kept";
    /// The person has to do with the call.
    Excluded = "excluded", FORBIDDEN, "Whoever has to do with a call does not review it", "leave the answer to somebody else";
    /// Earlier emergencies wait for their review.
    GlassOverdue = "glass_overdue", FORBIDDEN, "Earlier emergencies wait for their review", "have them reviewed first";
    /// The filter is none, or none that may be asked here.
    FilterUnfit = "filter_unfit", CONFLICT, "The filter is none that may be asked here", "mend it where `at` points; `countersign audit --fields` lists what there is";
    /// The request comes by an unknown name or from a foreign page.
    Foreign = "foreign", FORBIDDEN, "The request comes by an unknown name, or from a foreign page", "name the host in `hosts` or the page in `origins` under [listen] in countersign.toml";
    /// It is no standing grant that could be asked for.
    GrantUnfit = "grant_unfit", CONFLICT, "It is no standing grant that could be asked for", "mend what is named; docs/approver.md says what a standing grant has";
    /// The session may not be opened.
    LoginRefused = "login_refused", FORBIDDEN, "The session is not opened", "sign a fresh challenge with a confirmed key of yours; `countersign people list` shows the keys";
    /// The path does not take this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The path does not take this method", "use a method that the header `allow` names";
    /// The gates do not ask this person, or not yet.
    NotAsked = "not_asked", FORBIDDEN, "The gates do not ask this person, or not yet", "leave the answer to those whom the gates ask";
    /// The organisation does not let this person open content.
    NotReader = "not_reader", FORBIDDEN, "The organisation does not let this person open content", "leave it to a member of the group that `readers` under [capture] in organisation.toml names";
    /// There is nothing here.
    NotFound = "not_found", NOT_FOUND, "There is nothing here", "GET /v1/openapi.json lists the paths";
    /// Nothing is there that could be taken back or used.
    NothingToTakeBack = "nothing_to_take_back", CONFLICT, "Nothing is there that could be taken back", "nothing is to be done";
    /// The person was shown something else.
    OtherView = "other_view", CONFLICT, "The person was shown something else than what is asked", "show the approval again, and answer what it shows";
    /// The log does not have the place.
    PlaceUnknown = "place_unknown", CONFLICT, "The log does not reach this place", "find out whether the gateway has another ledger than before; then begin at a place that it has";
    /// What is proposed is no proposal.
    ProposalUnfit = "proposal_unfit", CONFLICT, "Arguments are proposed where a call is edited", "send one JSON object that differs from the arguments of the call, and leave it out of other answers";
    /// The very same answer was given before.
    Replayed = "replayed", CONFLICT, "This very answer was given before", "sign each answer with a number of its own";
    /// The request is not of the form that it must have.
    RequestUnfit = "request_unfit", BAD_REQUEST, "The request has another form than it must have", "GET /v1/openapi.json says which form";
    /// A session is needed.
    SessionRequired = "session_required", UNAUTHORIZED, "A session is needed", "open one with your key: POST /v1/sessions/challenges, then POST /v1/sessions";
    /// The signature is not of this answer.
    SignatureWrong = "signature_wrong", FORBIDDEN, "The signature is not of this answer by a confirmed key of this person", "sign exactly this answer, with a confirmed key of yours";
    /// A ticket is missing, or not wanted.
    TicketUnfit = "ticket_unfit", CONFLICT, "A ticket goes with broken glass", "name the ticket where glass is broken, and leave it out elsewhere";
    /// The body came too slowly.
    TooSlow = "too_slow", REQUEST_TIMEOUT, "The body came too slowly", "send it again";
    /// More is open than may be.
    TooMany = "too_many", TOO_MANY_REQUESTS, "More is open than may be", "close what you do not use, or come back later";
    /// The gateway cannot do it now.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The gateway cannot do it now", "come back later; `countersign doctor` says what is wrong";
    /// The body is of another media type.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body is of another media type", "send application/json";
    /// It must be said why.
    WhyRequired = "why_required", CONFLICT, "It must be said why, and is recorded", "send `why`";
}

/// A problem, as RFC 9457 writes it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemDetails {
    /// Where in the filter the trouble starts: a byte, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub at: Option<usize>,
    /// What sort of problem it is: stable.
    pub code: Code,
    /// What is wrong here.
    pub detail: String,
    /// How to mend it.
    pub mend: String,
    /// The status of the response.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// The sort of problem, in words.
    pub title: String,
    /// The sort of problem, as an address.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Why a request is not answered as it wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    at: Option<usize>,
    code: Code,
    detail: String,
}

impl Problem {
    /// One of this sort; `detail` says what is wrong here.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { at: None, code, detail: detail.into() }
    }

    /// Something failed that is not the caller's fault.
    pub fn failed(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request to the console failed");
        Self::new(Code::Unavailable, error.to_string())
    }

    /// What sort it is.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }
}

impl From<ReviewError> for Problem {
    fn from(error: ReviewError) -> Self {
        let code = match &error {
            ReviewError::Illegal(illegal) => match illegal {
                Illegal::Again | Illegal::Recused => Code::AnsweredAlready,
                Illegal::Closed(_) | Illegal::Late => Code::ApprovalClosed,
                Illegal::Excluded(_) => Code::Excluded,
                Illegal::NotAsked | Illegal::Unsure => Code::NotAsked,
                Illegal::NoArguments | Illegal::Unedited => Code::ProposalUnfit,
                Illegal::NotGranted | Illegal::NothingToWithdraw | Illegal::UsedUp => Code::NothingToTakeBack,
                Illegal::OtherView => Code::OtherView,
                Illegal::Replayed => Code::Replayed,
                Illegal::Beyond
                | Illegal::Bound
                | Illegal::Delivered
                | Illegal::Early
                | Illegal::Known
                | Illegal::Lacking
                | Illegal::NotRequested
                | Illegal::Unfounded
                | Illegal::Unused => {
                    return Self::failed(&error);
                }
            },
            ReviewError::Edit(_) | ReviewError::Proposal => Code::ProposalUnfit,
            ReviewError::Glass(_) => Code::GlassOverdue,
            ReviewError::Key(_) | ReviewError::Signature => Code::SignatureWrong,
            ReviewError::Nobody(_) | ReviewError::Read(_) | ReviewError::Sealed(_) | ReviewError::Unrecorded(_) => {
                return Self::failed(&error);
            }
            ReviewError::Unfit => Code::RequestUnfit,
            ReviewError::Unknown(_) => Code::ApprovalUnknown,
            ReviewError::NotYours(_) | ReviewError::Who(_) => Code::NotAsked,
        };
        Self::new(code, error.to_string())
    }
}

impl From<OpenContentError> for Problem {
    fn from(error: OpenContentError) -> Self {
        let code = match &error {
            OpenContentError::NotKept(_) | OpenContentError::NotRun(_) => Code::ContentUnkept,
            OpenContentError::TooMuch | OpenContentError::Unfit => Code::RequestUnfit,
            OpenContentError::Lost { .. }
            | OpenContentError::Read(_)
            | OpenContentError::Sealed(_)
            | OpenContentError::Unrecorded(_) => return Self::failed(&error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let code = match &error {
            AskError::Mission(_) | AskError::Standing(_) => Code::GrantUnfit,
            AskError::TooMany => Code::TooMany,
            AskError::Nobody(_) | AskError::Sealed(_) | AskError::Unrecorded(_) => return Self::failed(&error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match &error {
            ExportError::Filter(filter) => {
                Self { at: Some(filter.at), code: Code::FilterUnfit, detail: error.to_string() }
            }
            ExportError::Joined(_) => Self::new(Code::FilterUnfit, error.to_string()),
            ExportError::Unfit => Self::new(Code::RequestUnfit, error.to_string()),
            ExportError::Unrecorded(_) => Self::failed(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { at, code, detail } = self;
        let details = ProblemDetails {
            at,
            code,
            detail,
            mend: code.mend().to_owned(),
            status: code.status().as_u16(),
            title: code.title().to_owned(),
            kind: format!("{TYPE}{}", code.as_str()),
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = (code.status(), body).into_response();
        let challenge: &[(HeaderName, &'static str)] = match code {
            Code::SessionRequired => &[(CONTENT_TYPE, PROBLEM_JSON), (WWW_AUTHENTICATE, "Bearer")],
            _ => &[(CONTENT_TYPE, PROBLEM_JSON)],
        };
        for (name, value) in challenge {
            response.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_they_are_called() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.status().is_client_error() || *code == Code::Unavailable);
        }
    }
}
