//! Which requests come from whom they should: the names under which the gateway is called, and the web pages that may call it.
//!
//! A browser on the same machine is made to call the gateway by pages of other sites, and by names that resolve to this machine (DNS rebinding). Both show in
//! headers that scripts cannot set.

use http::Uri;
use http::header::{HOST, HeaderMap, ORIGIN};

use crate::mcp::streamable::single;

/// The names and origins that are let in.
#[derive(Clone, Debug)]
pub struct Peers {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Why a request is not let in, whatever it asks; in words for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// It came by another name.
    #[error("the gateway is not called `{name}`; use one of: {known}")]
    Name {
        /// The names that are known.
        known: String,
        /// The name that it came by, made visible.
        name: String,
    },
    /// It comes from a page of another site.
    #[error("pages of this origin may not call the gateway")]
    Origin,
}

impl Peers {
    /// Lets requests in that come by these names, each with its port, such as `127.0.0.1:7070`, and from pages of these origins, such as `https://tools.example`; pages that the
    /// gateway itself serves are let in.
    #[must_use]
    pub fn new(hosts: Vec<String>, origins: Vec<String>) -> Self {
        let hosts: Vec<_> = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        // Pages that the gateway itself serves.
        let own = hosts.iter().flat_map(|host| [format!("http://{host}"), format!("https://{host}")]);
        let origins = own.chain(origins.iter().map(|origin| origin.to_ascii_lowercase())).collect();
        Self { hosts, origins }
    }

    /// Gives the name that a request came by.
    ///
    /// # Errors
    /// [`Foreign`] where it does not come by a known name, or comes from a foreign page.
    pub fn check<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Foreign> {
        let host = single(headers, &HOST).ok().flatten().and_then(|host| host.to_str().ok()).unwrap_or_default();
        // A request target with a host of its own outranks the header.
        let outranking = uri.authority().map(http::uri::Authority::as_str);
        for host in [host].into_iter().chain(outranking) {
            if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
                return Err(Foreign::Name { known: self.hosts.join(", "), name: host.escape_debug().to_string() });
            }
        }
        match single(headers, &ORIGIN).map(|origin| origin.map(|origin| origin.to_str().unwrap_or_default())) {
            Ok(None) => Ok(outranking.unwrap_or(host)),
            Ok(Some(origin)) if self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) => {
                Ok(outranking.unwrap_or(host))
            }
            Ok(Some(_)) | Err(_) => Err(Foreign::Origin),
        }
    }
}
