//! What our own programs ask of web servers: documents and tokens of authorization servers, and the API of a gateway elsewhere; never a call of an agent.
//!
//! HTTPS only, but for loopback; one request on one connection; redirects are answers and not followed; everything is bounded in size and time. Start at
//! [`WebClient::ask`].

use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::Full;

use super::streamable::{BodyError, read_body};
use super::upstream::http::connection::{Dial, SendFault, with_causes};
use crate::limits::{CONNECT_MS, WEB_ANSWER_BYTES_MAX, WEB_ANSWER_MS, WEB_URL_BYTES_MAX};

/// An address that may be asked: HTTPS, or HTTP on this machine unless somebody said otherwise.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebUrl(Uri);

/// Why an address is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` cannot be asked: {why}")]
pub struct WebUrlError {
    url: String,
    why: &'static str,
}

impl WebUrl {
    /// Reads an absolute address.
    ///
    /// # Errors
    /// [`WebUrlError`] says what to change.
    pub fn parse(text: &str) -> Result<Self, WebUrlError> {
        let url = Self::parse_plain(text)?;
        if url.0.scheme_str() == Some("http") && !url.is_loopback() {
            return Err(WebUrlError { url: shown(text), why: "use https; http is for this machine only" });
        }
        Ok(url)
    }

    /// Reads an absolute address, where whoever runs the program has said that everybody on the way may read and change what is sent.
    ///
    /// # Errors
    /// [`WebUrlError`] says what to change.
    pub fn parse_plain(text: &str) -> Result<Self, WebUrlError> {
        let fault = |why| WebUrlError { url: shown(text), why };
        if text.len() > WEB_URL_BYTES_MAX {
            return Err(fault("it is too long"));
        }
        if text.contains('#') {
            return Err(fault("it has a fragment"));
        }
        let uri: Uri = text.parse().map_err(|_| fault("use the form https://host/path"))?;
        let authority = uri.authority().ok_or_else(|| fault("use the form https://host/path"))?;
        if authority.as_str().contains('@') {
            return Err(fault("credentials do not belong into an address"));
        }
        match uri.scheme_str() {
            Some("http" | "https") => Ok(Self(uri)),
            _ => Err(fault("only https is spoken")),
        }
    }

    /// Scheme and authority, such as `https://login.example`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.0.scheme_str().unwrap_or("https"), self.authority())
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    fn is_loopback(&self) -> bool {
        self.0.authority().is_some_and(|authority| is_loopback(authority.host()))
    }

    fn authority(&self) -> &str {
        self.0.authority().map_or("", http::uri::Authority::as_str)
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(WEB_URL_BYTES_MAX).flat_map(char::escape_debug).collect()
}

/// Whether a host name means this machine without asking anybody.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// The answer broke off, or is too large.
    #[error("`{url}` did not answer properly: {why}")]
    Answer {
        /// Where.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// No connection, or it broke off before an answer.
    #[error("`{url}` cannot be reached: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why not.
        why: String,
    },
}

/// Asks web servers. Cheap to keep; opens nothing before it is used.
#[derive(Debug)]
pub struct WebClient {
    answer_bytes_max: usize,
    tls: OnceLock<Dial>,
}

impl Default for WebClient {
    fn default() -> Self {
        Self::reading(WEB_ANSWER_BYTES_MAX)
    }
}

impl WebClient {
    /// One that reads answers of so many bytes at most.
    #[must_use]
    pub const fn reading(answer_bytes_max: usize) -> Self {
        Self { answer_bytes_max, tls: OnceLock::new() }
    }

    /// Sends one request to `url` and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// [`WebError`]; the request may have been read all the same.
    pub async fn ask(&self, url: &WebUrl, request: Request<Bytes>) -> Result<Response<Bytes>, WebError> {
        let asked = pin!(self.exchange(url, request));
        let within = Duration::from_millis(WEB_ANSWER_MS);
        tokio::time::timeout(within, asked).await.unwrap_or_else(|_elapsed| {
            Err(WebError::Unreachable { url: url.to_string(), why: format!("no answer within {WEB_ANSWER_MS} ms") })
        })
    }

    async fn exchange(&self, url: &WebUrl, request: Request<Bytes>) -> Result<Response<Bytes>, WebError> {
        let unreachable = |why: String| WebError::Unreachable { url: url.to_string(), why };
        let dial = self.dial(url).map_err(|error| unreachable(format!("load trusted certificates: {error}")))?;
        let mut connection = dial
            .connect(url.0.clone(), Duration::from_millis(CONNECT_MS))
            .await
            .map_err(|fault| unreachable(fault.to_string()))?;
        let (mut head, body) = request.into_parts();
        let path = url.0.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        head.uri = path.parse().map_err(|_| unreachable("its path cannot be requested".to_owned()))?;
        let host =
            HeaderValue::from_str(url.authority()).map_err(|_| unreachable("its host is no header".to_owned()))?;
        head.headers.insert(HOST, host);
        let response = connection.send(Request::from_parts(head, Full::new(body))).await.map_err(|fault| {
            let (SendFault::Unsent(_, error) | SendFault::Lost(error)) = fault;
            unreachable(with_causes(&error))
        })?;
        let (head, mut body) = response.into_parts();
        let read = connection.drive(pin!(read_body(&mut body, self.answer_bytes_max))).await;
        let body = read.map_err(|error| {
            let why = match error {
                BodyError::Broken(error) => with_causes(&error),
                error @ (BodyError::Late | BodyError::TooLarge { .. }) => error.to_string(),
            };
            WebError::Answer { url: url.to_string(), why }
        })?;
        Ok(Response::from_parts(head, body))
    }

    fn dial(&self, url: &WebUrl) -> std::io::Result<Dial> {
        if url.0.scheme_str() != Some("https") {
            return Ok(Dial::plain());
        }
        if let Some(dial) = self.tls.get() {
            return Ok(dial.clone());
        }
        let dial = Dial::tls()?;
        Ok(self.tls.get_or_init(|| dial).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_are_asked() {
        for (url, is_good) in [
            ("https://login.example", true),
            ("https://login.example:8443/realms/a?b=c", true),
            ("http://127.0.0.1:8080/jwks", true),
            ("http://[::1]:8080/", true),
            ("http://localhost/jwks", true),
            ("http://login.example/jwks", false),
            ("http://127.0.0.1.evil.example/", false),
            ("https://user:secret@login.example/", false),
            ("https://login.example/#a", false),
            ("file:///etc/passwd", false),
            ("/jwks", false),
            ("", false),
        ] {
            assert_eq!(WebUrl::parse(url).is_ok(), is_good, "{url}");
            let is_plain = url.starts_with("http://login") || url.starts_with("http://127.0.0.1.evil");
            assert_eq!(WebUrl::parse_plain(url).is_ok(), is_good || is_plain, "{url}");
        }
        assert!(WebUrl::parse(&format!("https://a.example/{}", "a".repeat(WEB_URL_BYTES_MAX))).is_err());
    }
}
