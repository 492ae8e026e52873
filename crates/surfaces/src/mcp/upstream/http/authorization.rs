//! The `Authorization` of an upstream that wants OAuth: taken from whoever keeps its tokens, for every request anew.
//!
//! A request that is refused for its token is not sent again from here, whatever it was: that a call is sent at most once does not depend on what a server's 401
//! means. The token is replaced, and the next request has the new one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use http_body_util::Full;

use super::{Exchange, Link};
use crate::mcp::upstream::UpstreamFault;

/// What a keeper of tokens answers in its own time.
pub type Kept<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Keeps the tokens of one upstream. The gateway implements it.
pub trait Authorization: fmt::Debug + Send + Sync {
    /// The header for the next request: at once while the token is good. The error says how to mend it.
    fn header(&self) -> Kept<'_, HeaderValue>;

    /// The upstream refused a request with this header. `Ok` when there is another now; else how to mend it.
    fn refused(&self, refusal: Refusal) -> Kept<'_, ()>;
}

/// How an upstream refused a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the upstream said in `WWW-Authenticate`.
    pub challenge: Option<HeaderValue>,
    /// The header that was refused.
    pub header: HeaderValue,
    /// 401, or 403 with a challenge.
    pub status: StatusCode,
}

impl Link {
    /// Sends a request once, with the upstream's token where it wants one.
    pub(super) async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Exchange, UpstreamFault> {
        match &self.config.authorization {
            None => self.exchange_as_it_is(request).await,
            // Boxed: upstreams without OAuth would carry the room for it in every call.
            Some(authorization) => Box::pin(self.exchange_with(&**authorization, request)).await,
        }
    }

    async fn exchange_with(
        &self,
        authorization: &dyn Authorization,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Exchange, UpstreamFault> {
        let header = authorization.header().await.map_err(UpstreamFault::NotSent)?;
        request.headers_mut().insert(AUTHORIZATION, header.clone());
        let exchange = self.exchange_as_it_is(request).await?;
        let status = exchange.response.status();
        let challenge = exchange.response.headers().get(WWW_AUTHENTICATE).cloned();
        let is_refused = status == StatusCode::UNAUTHORIZED || (status == StatusCode::FORBIDDEN && challenge.is_some());
        if !is_refused {
            return Ok(exchange);
        }
        let refused = authorization.refused(Refusal { challenge, header, status }).await;
        let why = refused.map_or_else(
            |mend| mend,
            |()| format!("the server refused the access token ({status}), and there is another now; send it again"),
        );
        Err(UpstreamFault::NotSent(why))
    }
}
