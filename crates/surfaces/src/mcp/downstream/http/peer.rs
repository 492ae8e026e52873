//! Which requests come from whom they should: the names under which the gateway is called, and the web pages that may call it.
//!
//! A browser on the same machine is made to call the gateway by pages of other sites, and by names that resolve to this machine (DNS rebinding). Both show in
//! headers that scripts cannot set.

use http::header::{HOST, HeaderMap, ORIGIN};
use http::{StatusCode, Uri};

use super::Refused;
use crate::mcp::streamable::single;

/// The names and origins that are let in.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Peers {
    pub(super) fn new(hosts: Vec<String>, origins: Vec<String>) -> Self {
        let hosts: Vec<_> = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        // Pages that the gateway itself serves.
        let own = hosts.iter().flat_map(|host| [format!("http://{host}"), format!("https://{host}")]);
        let origins = own.chain(origins.iter().map(|origin| origin.to_ascii_lowercase())).collect();
        Self { hosts, origins }
    }

    /// Refuses what does not come by a known name, or comes from a foreign page; gives the name that it came by.
    pub(super) fn check<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Refused> {
        let forbidden = |text: String| Refused::new(StatusCode::FORBIDDEN, text);
        let host = single(headers, &HOST).ok().flatten().and_then(|host| host.to_str().ok()).unwrap_or_default();
        // A request target with a host of its own outranks the header.
        let outranking = uri.authority().map(http::uri::Authority::as_str);
        for host in [host].into_iter().chain(outranking) {
            if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
                return Err(forbidden(format!(
                    "the gateway is not called `{}`; use one of: {}",
                    host.escape_debug(),
                    self.hosts.join(", ")
                )));
            }
        }
        match single(headers, &ORIGIN).map(|origin| origin.map(|origin| origin.to_str().unwrap_or_default())) {
            Ok(None) => Ok(outranking.unwrap_or(host)),
            Ok(Some(origin)) if self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) => {
                Ok(outranking.unwrap_or(host))
            }
            Ok(Some(_)) | Err(_) => Err(forbidden("pages of this origin may not call the gateway".to_owned())),
        }
    }
}
