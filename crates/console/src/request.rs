//! What a request brings: a session, parameters and a body, each read strictly.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use evidence::ids::{ApprovalId, CallId, IdError};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::str::FromStr;
use std::sync::Arc;

use crate::door::Console;
use crate::limits::{BODY_BYTES_MAX, BODY_WAIT};
use crate::problem::{Code, Problem};
use crate::records::Follower;
use crate::sessions::{NoSession, Session};
use crate::wire::unfit;

/// Whoever asks has a session that stands.
pub(crate) struct Caller(pub(crate) Session);

impl FromRequestParts<Arc<Console>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        let session = bearer(parts).and_then(|token| console.sessions.bearing(token, &console.gateway));
        session.map(Self).map_err(|none| {
            if none != NoSession::Without {
                console.gateway.note_stranger("console session", "console", &format!("a request was refused: {none}"));
            }
            Problem::new(Code::SessionRequired, none.to_string())
        })
    }
}

/// A person with a session, or a reader that the configuration names.
impl FromRequestParts<Arc<Console>> for Follower {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        let digest: Option<[u8; 32]> = bearer(parts).ok().map(|token| Sha256::digest(token.as_bytes()).into());
        match console.readers.iter().find(|reader| Some(reader.token()) == digest.as_ref()) {
            Some(reader) => Ok(Self::Reader(reader.clone())),
            None => Caller::from_request_parts(parts, console).await.map(|Caller(session)| Self::Person(session)),
        }
    }
}

fn bearer(parts: &Parts) -> Result<&str, NoSession> {
    let mut sent = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(sent), None) = (sent.next(), sent.next()) else { return Err(NoSession::Without) };
    let (scheme, token) = sent.to_str().ok().and_then(|sent| sent.split_once(' ')).ok_or(NoSession::Without)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_ascii()) } else { Err(NoSession::Without) }
}

/// The approval that the path names.
pub(crate) struct Named(pub(crate) ApprovalId);

impl FromRequestParts<Arc<Console>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        named(parts, console).await.map(Self)
    }
}

/// The call that the path names.
pub(crate) struct NamedCall(pub(crate) CallId);

impl FromRequestParts<Arc<Console>> for NamedCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        named(parts, console).await.map(Self)
    }
}

/// The one id in the path.
async fn named<T: FromStr<Err = IdError>>(parts: &mut Parts, console: &Arc<Console>) -> Result<T, Problem> {
    let Path(id) = Path::<String>::from_request_parts(parts, console)
        .await
        .map_err(|error| unfit(format!("the path: {error}")))?;
    id.parse().map_err(|error: IdError| unfit(error.to_string()))
}

/// Parameters behind the path.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Console>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Console>) -> Result<Self, Problem> {
        let Query(asked) = Query::try_from_uri(&parts.uri).map_err(|error| unfit(format!("the query: {error}")))?;
        Ok(Self(asked))
    }
}

/// A body of JSON.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Console>> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Console>) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType, "the body must be application/json"));
        }
        let bytes = read(request.into_body()).await?;
        // A list would be read as the fields of an object, one after the other.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(unfit("the body is no object"));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| unfit(format!("the body: {error}")))
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let collected = tokio::time::timeout(BODY_WAIT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::new(Code::BodyTooLarge, format!("the body is larger than {BODY_BYTES_MAX} bytes")))
        }
        Ok(Err(_broken_off)) => Err(unfit("the body ends early")),
        Err(_elapsed) => Err(Problem::new(Code::TooSlow, "the body did not come within 10 seconds")),
    }
}
