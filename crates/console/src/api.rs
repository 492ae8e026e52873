//! The operations. Each reads a session first, says what may be wrong in its description, and holds to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::HeaderValue;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use evidence::record::approval::Answer;
use gateway::approvals::{Channel, ReviewError, Reviewed as Answered, Wanted};
use gateway::clock::now;
use gateway::content::Wanted as WantedContent;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::door::Console;
use crate::events;
use crate::limits::{PAGE, RECORDS_SKIPPED_MAX};
use crate::problem::{Code, Problem, ProblemDetails};
use crate::records::{self, Follower};
use crate::request::{Asked, Caller, Named, NamedCall, Sent};
use crate::sessions::{self, LoginError};
use crate::wire::{
    Approvals, Challenge, ChallengeWanted, Contents, Counted, Followed, Form, Grant, Listed, Login, Me, Opened,
    Opening, RecordPage, Records, RecordsAsked, RecordsListed, Released, Reviewed, Revocation, Shown, Waiting, limit,
    unfit,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "Approvals of what agents do: what is asked, who answered, and signed answers. Reads need a session, which a person opens with a key of theirs."
    ),
    modifiers(&Bearer),
    security(("session" = []))
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token of a session, as POST /v1/sessions gives it."))
            .build();
        let reader = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token of a reader, as [stream.NAME] in the configuration names it."))
            .build();
        let schemes = &mut openapi.components.get_or_insert_default().security_schemes;
        schemes.insert("session".to_owned(), SecurityScheme::Http(scheme).into());
        schemes.insert("reader".to_owned(), SecurityScheme::Http(reader).into());
    }
}

/// The operations, with their descriptions.
pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(health))
        .routes(routes!(challenge))
        .routes(routes!(open_session))
        .routes(routes!(close_session))
        .routes(routes!(me))
        .routes(routes!(list_approvals))
        .routes(routes!(show_approval))
        .routes(routes!(list_records))
        .routes(routes!(find_records))
        .routes(routes!(follow_records))
        .routes(routes!(review))
        .routes(routes!(revoke))
        .routes(routes!(release))
        .routes(routes!(grant))
        .routes(routes!(open_content))
        .routes(routes!(listen))
        .routes(routes!(description))
}

/// The description of the API (OpenAPI 3.1), as text.
///
/// # Errors
/// Never in practice: plain fields are written.
pub fn openapi() -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&routes().into_openapi())?;
    text.push('\n');
    Ok(text)
}

/// Whether the console answers.
#[utoipa::path(get, path = "/health", operation_id = "health", security(()), responses((status = 200, description = "It does.", body = String, content_type = "text/plain")))]
async fn health() -> &'static str {
    "alive\n"
}

/// Get a challenge, to be signed within two minutes.
#[utoipa::path(
    post, path = "/v1/sessions/challenges", operation_id = "challenge", security(()), request_body = ChallengeWanted,
    responses(
        (status = 201, description = "The challenge.", body = Challenge),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn challenge(
    State(console): State<Arc<Console>>,
    Sent(wanted): Sent<ChallengeWanted>,
) -> Result<(StatusCode, Json<Challenge>), Problem> {
    Form::Person.check("person", &wanted.person)?;
    let (challenge, expires_at) = console.sessions.challenge(&wanted.person, now());
    Ok((StatusCode::CREATED, Json(Challenge { challenge, expires_at })))
}

/// Open a session with a signed challenge.
#[utoipa::path(
    post, path = "/v1/sessions", operation_id = "open_session", security(()), request_body = Login,
    responses(
        (status = 201, description = "The session, with its token.", body = Opened),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn open_session(
    State(console): State<Arc<Console>>,
    uri: Uri,
    headers: HeaderMap,
    Sent(login): Sent<Login>,
) -> Result<(StatusCode, Json<Opened>), Problem> {
    let Login { challenge, key, person, signature } = &login;
    Form::Challenge.check("challenge", challenge)?;
    Form::Digest.check("key", key)?;
    Form::Person.check("person", person)?;
    Form::Signature.check("signature", signature)?;
    let host =
        console.peers.check(&uri, &headers).map_err(|foreign| Problem::new(Code::Foreign, foreign.to_string()))?;
    let gateway = &console.gateway;
    let asked = sessions::Login { challenge, host, key, person };
    let opened = console.sessions.open(asked, now(), |text| gateway.has_signed(person, key, text, signature));
    let (token, session) = opened.map_err(|error| {
        let scope = gateway.person(person).map_or_else(|| "console".to_owned(), |_| format!("person:{person}"));
        gateway.note_stranger(
            &format!("console login: {error}"),
            &scope,
            &format!("a session was not opened: {error}"),
        );
        match error {
            LoginError::Full => Problem::new(Code::TooMany, error.to_string()),
            LoginError::Challenge | LoginError::Replayed | LoginError::Signature => {
                Problem::new(Code::LoginRefused, "the signature or its challenge is not good here")
            }
        }
    })?;
    let opened = Opened { expires_at: session.until, person: session.person.to_string(), token };
    Ok((StatusCode::CREATED, Json(opened)))
}

/// End this session.
#[utoipa::path(
    delete, path = "/v1/sessions/current", operation_id = "close_session",
    responses(
        (status = 204, description = "It has ended."),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn close_session(State(console): State<Arc<Console>>, Caller(session): Caller) -> StatusCode {
    console.sessions.close(&session.digest);
    StatusCode::NO_CONTENT
}

/// See who you are here: groups, keys and the end of this session.
#[utoipa::path(
    get, path = "/v1/me", operation_id = "me",
    responses(
        (status = 200, description = "Who you are.", body = Me),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn me(State(console): State<Arc<Console>>, Caller(session): Caller) -> Json<Me> {
    let person = session.person.to_string();
    let (name, groups) = console.gateway.person(&person).unwrap_or_default();
    let keys = console.gateway.keys_of(&person).into_iter();
    let keys = keys.map(|(key, standing)| (key, standing.as_str().to_owned())).collect();
    Json(Me { groups, keys, name, person, session_expires_at: session.until })
}

/// List approvals, oldest first, a page at a time. Those that are long over are in the ledger alone, and are not listed.
#[utoipa::path(
    get, path = "/v1/approvals", operation_id = "list_approvals", params(Listed),
    responses(
        (status = 200, description = "A page.", body = Approvals),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn list_approvals(
    State(console): State<Arc<Console>>,
    Caller(session): Caller,
    Asked(listed): Asked<Listed>,
) -> Result<Json<Approvals>, Problem> {
    let Listed { after, begins, limit: asked, mine, state } = listed;
    if let Some(start) = &begins {
        Form::Start.check("begins", start)?;
    }
    let limit = limit(asked, PAGE)?;
    let mine = mine.unwrap_or_default().then(|| session.person.to_string());
    let wanted = Wanted { after, begins, limit, mine, state: state.map(Into::into) };
    let page = console.gateway.approvals(&wanted);
    Ok(Json(Approvals { approvals: page.approvals.into_iter().map(Into::into).collect(), next: page.next }))
}

/// Show one approval: what would happen, why it is asked, who answered, and what you may do.
#[utoipa::path(
    get, path = "/v1/approvals/{id}", operation_id = "show_approval", params(("id" = inline(ApprovalIdForm), Path, description = "Which.")),
    responses(
        (status = 200, description = "The approval.", body = Shown),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn show_approval(
    State(console): State<Arc<Console>>,
    Caller(session): Caller,
    Named(id): Named,
) -> Result<Json<Shown>, Problem> {
    let told = console.gateway.tell_approval(id, &session.person).await.map_err(|error| Problem::failed(&error))?;
    told.map(|told| Json(told.into())).ok_or_else(|| unknown(id))
}

/// List the records of an approval, as the ledger has them.
#[utoipa::path(
    get, path = "/v1/approvals/{id}/records", operation_id = "list_records", params(("id" = inline(ApprovalIdForm), Path, description = "Which."), RecordsListed),
    responses(
        (status = 200, description = "A page.", body = Records),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn list_records(
    State(console): State<Arc<Console>>,
    Caller(_session): Caller,
    Named(id): Named,
    Asked(listed): Asked<RecordsListed>,
) -> Result<Json<Records>, Problem> {
    let limit = limit(listed.limit, PAGE)?;
    let after = listed.after.unwrap_or_default();
    if after > RECORDS_SKIPPED_MAX {
        return Err(unfit(format!("`after` is {after}; use 0 to {RECORDS_SKIPPED_MAX}")));
    }
    let found =
        console.gateway.approval_records(id, after as usize, limit).await.map_err(|error| Problem::failed(&error))?;
    if found.is_empty() && after == 0 {
        return Err(unknown(id));
    }
    let read = after.saturating_add(u32::try_from(found.len()).unwrap_or(u32::MAX));
    let next = (found.len() >= limit).then_some(read).filter(|read| *read <= RECORDS_SKIPPED_MAX);
    let records = found.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>();
    Ok(Json(Records { next, records: records.map_err(|error| Problem::failed(&error))? }))
}

/// Find records of the ledger by a filter, newest first, a page at a time.
#[utoipa::path(
    get, path = "/v1/records", operation_id = "find_records", params(RecordsAsked),
    responses(
        (status = 200, description = "A page.", body = RecordPage),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read, or the look not be recorded.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn find_records(
    State(console): State<Arc<Console>>,
    Caller(session): Caller,
    Asked(asked): Asked<RecordsAsked>,
) -> Result<Json<RecordPage>, Problem> {
    records::page(&console, &session, asked).await.map(Json)
}

/// Follow the ledger: every record after a place that matches, and each new one once it is durable. JSON Lines, or server-sent events where `Accept` names them; then `Last-Event-ID` goes before `after`.
/// Lines with `stream` are the stream's own: `open`, `alive` with the place up to which everything was given, `ended` with the reason. Each opening is recorded.
#[utoipa::path(
    get, path = "/v1/records/stream", operation_id = "follow_records", params(Followed), security(("session" = []), ("reader" = [])),
    responses(
        (status = 200, description = "The records.", content((String = "application/x-ndjson"), (String = "text/event-stream"))),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "The opening could not be recorded.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn follow_records(
    State(console): State<Arc<Console>>,
    follower: Follower,
    headers: HeaderMap,
    Asked(asked): Asked<Followed>,
) -> Result<Response, Problem> {
    records::open(console, follower, &headers, asked).await
}

/// Answer, with a signature of your key.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/reviews", operation_id = "review", params(("id" = inline(ApprovalIdForm), Path, description = "Which.")),
    request_body = Reviewed,
    responses(
        (status = 201, description = "The answer counts, and what it led to.", body = Counted),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "It could not be recorded.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn review(
    State(console): State<Arc<Console>>,
    Caller(session): Caller,
    Named(id): Named,
    Sent(reviewed): Sent<Reviewed>,
) -> Result<(StatusCode, Json<Counted>), Problem> {
    Form::Digest.check("key", &reviewed.key)?;
    Form::Nonce.check("nonce", &reviewed.nonce)?;
    Form::Reason.check("reason", &reviewed.reason)?;
    Form::Digest.check("shown_sha256", &reviewed.shown_sha256)?;
    Form::Signature.check("signature", &reviewed.signature)?;
    if let Some(absent) = &reviewed.on_behalf_of {
        Form::Person.check("on_behalf_of", absent)?;
    }
    if let Some(ticket) = &reviewed.ticket {
        Form::Ticket.check("ticket", ticket)?;
    }
    if reviewed.ticket.is_some() != (reviewed.answer == Answer::BreakGlass) {
        return Err(Problem::new(Code::TicketUnfit, "a ticket goes with broken glass, and with nothing else"));
    }
    if let Some(proposed) = &reviewed.proposed {
        Form::Text.check("proposed", proposed)?;
    }
    if reviewed.proposed.is_some() != (reviewed.answer == Answer::Edit) {
        return Err(Problem::new(Code::ProposalUnfit, "arguments go with an edit, and with nothing else"));
    }
    let person = session.person.to_string();
    let answered = Answered {
        answer: reviewed.answer,
        approval: id,
        key: Some(reviewed.key),
        nonce: reviewed.nonce,
        on_behalf_of: reviewed.on_behalf_of,
        proposed: reviewed.proposed,
        reason: reviewed.reason,
        reviewer: Some(person.clone()),
        shown_sha256: reviewed.shown_sha256,
        signature: Some(reviewed.signature),
        signed_at: reviewed.signed_at,
        ticket: reviewed.ticket,
    };
    match console.gateway.review(answered, &person, Channel::Api).await {
        Ok(counted) => {
            let counted = Counted { resolution: counted.resolution, standing: counted.standing };
            Ok((StatusCode::CREATED, Json(counted)))
        }
        Err(ReviewError::Unknown(_)) => Err(forgotten(&console, id, &person).await),
        Err(error) => Err(error.into()),
    }
}

/// Take back what was granted and is not used yet. Those whom the gates ask may, and those who have to do with the call.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/revocations", operation_id = "revoke", params(("id" = inline(ApprovalIdForm), Path, description = "Which.")),
    request_body = Revocation,
    responses(
        (status = 204, description = "It is taken back."),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "It could not be recorded.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn revoke(
    State(console): State<Arc<Console>>,
    Caller(session): Caller,
    Named(id): Named,
    Sent(revocation): Sent<Revocation>,
) -> Result<StatusCode, Problem> {
    Form::Reason.check("why", &revocation.why)?;
    let person = session.person.to_string();
    let Some(turn) = console.gateway.turn(id, &person) else { return Err(forgotten(&console, id, &person).await) };
    if !turn.is_concerned {
        return Err(Problem::new(
            Code::NotAsked,
            "the gates ask somebody else, and you have nothing to do with the call",
        ));
    }
    console.gateway.revoke_approval(id, &person, &revocation.why).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take back what your agent asked, or give back what was granted and is not needed any more.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/releases", operation_id = "release", params(("id" = inline(ApprovalIdForm), Path, description = "Which.")),
    request_body = Revocation,
    responses(
        (status = 201, description = "What it is now.", body = Released),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "It could not be recorded.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn release(
    State(console): State<Arc<Console>>,
    Caller(session): Caller,
    Named(id): Named,
    Sent(revocation): Sent<Revocation>,
) -> Result<(StatusCode, Json<Released>), Problem> {
    Form::Reason.check("why", &revocation.why)?;
    let person = session.person.to_string();
    match console.gateway.release_approval(id, &person, &revocation.why, Channel::Api).await {
        Ok(state) => Ok((StatusCode::CREATED, Json(Released { state: state.into() }))),
        Err(ReviewError::Unknown(_)) => Err(forgotten(&console, id, &person).await),
        Err(error) => Err(error.into()),
    }
}

/// Ask people for a standing grant, instead of an answer to each call.
#[utoipa::path(
    post, path = "/v1/standing-grants", operation_id = "grant", request_body = Grant,
    responses(
        (status = 201, description = "Which approval is asked for.", body = Waiting),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "It could not be recorded.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn grant(
    State(console): State<Arc<Console>>,
    Caller(session): Caller,
    Sent(grant): Sent<Grant>,
) -> Result<(StatusCode, Json<Waiting>), Problem> {
    Form::Text.check("text", &grant.text)?;
    let waits = console.gateway.ask_standing(&grant.text, &session.person, Channel::Api).await?;
    Ok((StatusCode::CREATED, Json(Waiting { approval: waits.approval, respond_by: waits.until })))
}

/// Open what is kept of the content of a call. It is recorded who did, and why, before anything is told; the organisation says who may.
#[utoipa::path(
    post, path = "/v1/calls/{id}/openings", operation_id = "open_content", params(("id" = inline(CallIdForm), Path, description = "Which.")),
    request_body = Opening,
    responses(
        (status = 201, description = "What is kept.", body = Contents),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "It could not be opened, or that could not be recorded.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn open_content(
    State(console): State<Arc<Console>>,
    Caller(session): Caller,
    NamedCall(call): NamedCall,
    Sent(opening): Sent<Opening>,
) -> Result<(StatusCode, Json<Contents>), Problem> {
    Form::Reason.check("why", &opening.why)?;
    let person = session.person.to_string();
    if !console.gateway.may_open_content(&person) {
        return Err(Problem::new(Code::NotReader, "this person is not among those who may open content"));
    }
    let wanted = WantedContent { attempt: opening.attempt, call, only: opening.content.map(Into::into) };
    let opened = console.gateway.open_content(wanted, &person, &opening.why, Channel::Api).await?;
    Ok((StatusCode::CREATED, Json(Contents { contents: opened.into_iter().map(Into::into).collect() })))
}

/// Hear of changes as they happen (server-sent events): `listening` once, `approval` with id and state, `missed` where some were left out and a list is due. Ends with the session.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "listen",
    responses(
        (status = 200, description = "The events.", body = String, content_type = "text/event-stream"),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn listen(State(console): State<Arc<Console>>, Caller(session): Caller) -> Result<Response, Problem> {
    let mut response = events::stream(console, session)?.into_response();
    // Proxies are not to collect events before they pass them on.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Read this description.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "description",
    responses(
        (status = 200, description = "The description.", body = Object),
        (status = "4XX", description = "Why not.", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
async fn description(Caller(_session): Caller) -> Json<utoipa::openapi::OpenApi> {
    Json(routes().into_openapi())
}

/// How an approval's id is written.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
#[expect(dead_code, reason = "the form of `evidence::ids::ApprovalId`")]
struct ApprovalIdForm(String);

/// How a call's id is written.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
#[expect(dead_code, reason = "the form of `evidence::ids::CallId`")]
struct CallIdForm(String);

fn unknown(id: evidence::ids::ApprovalId) -> Problem {
    Problem::new(Code::ApprovalUnknown, format!("there is no approval {id}"))
}

/// What is said of an approval that the book does not have: the ledger may.
async fn forgotten(console: &Console, id: evidence::ids::ApprovalId, person: &str) -> Problem {
    match console.gateway.tell_approval(id, person).await {
        Ok(Some(_)) => Problem::new(Code::ApprovalClosed, "the approval is over"),
        Ok(None) => unknown(id),
        Err(error) => Problem::failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The description that is checked in; `COUNTERSIGN_BLESS=1` writes it.
    const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

    #[test]
    fn the_description_that_is_checked_in_is_that_of_the_code() {
        let text = openapi().unwrap();
        if std::env::var_os("COUNTERSIGN_BLESS").is_some() {
            std::fs::write(CHECKED_IN, &text).unwrap();
        }
        let checked_in = std::fs::read_to_string(CHECKED_IN).unwrap_or_default();
        assert!(
            checked_in == text,
            "docs/openapi.json is not that of the code: COUNTERSIGN_BLESS=1 cargo test -p console"
        );
    }

    #[test]
    fn everything_but_the_door_needs_a_session() {
        let description: Value = serde_json::from_str(&openapi().unwrap()).unwrap();
        let open = |operation: &Value| operation["security"] == serde_json::json!([{}]);
        let mut free = Vec::new();
        for operations in description["paths"].as_object().unwrap().values() {
            let operations = operations.as_object().unwrap().values();
            free.extend(operations.filter(|it| open(it)).map(|it| it["operationId"].as_str().unwrap().to_owned()));
        }
        free.sort_unstable();
        assert_eq!(free, ["challenge", "health", "open_session"]);
        assert_eq!(description["security"], serde_json::json!([{ "session": [] }]));
    }
}
