//! Who may come in over the network: agents with the token of an open run, to the upstreams that their mission names.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::record::Authenticated;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use surfaces::mcp::downstream::http::{Admission, AdmitError, ConnectError, Connected, Gate, Holder};
use surfaces::mcp::upstream::Upstream;
use surfaces::mcp::upstream::http::{HttpUpstream, HttpUpstreamConfig, HttpUpstreamLimits};
use surfaces::mcp::upstream::stdio::{StdioConfig, StdioUpstream};

use crate::config::{Config, UpstreamConfig};
use crate::missions::Policy;
use crate::runs::{Run, Standing};
use crate::session::AgentSession;
use crate::{Gateway, Readiness, clock};

/// The gate of one listener.
#[derive(Debug)]
pub struct RunGate {
    gateway: Arc<Gateway>,
    upstreams: BTreeMap<String, Link>,
}

/// How an upstream is reached, ready for use.
#[derive(Debug)]
enum Link {
    Http(HttpUpstreamConfig),
    Stdio(StdioConfig),
}

/// What a good token says.
#[derive(Debug)]
pub struct Ticket {
    policy: Policy,
    run: Arc<Run>,
}

impl RunGate {
    /// The gate to the upstreams of `config`.
    ///
    /// # Errors
    /// A text that says which upstream cannot be reached as configured.
    pub fn new(gateway: Arc<Gateway>, config: &Config) -> Result<Self, String> {
        let upstreams = config.upstreams.iter().map(|(name, upstream)| Ok((name.clone(), link(name, upstream)?)));
        Ok(Self { gateway, upstreams: upstreams.collect::<Result<_, String>>()? })
    }
}

fn link(name: &str, config: &UpstreamConfig) -> Result<Link, String> {
    let (credential, url) = match config {
        UpstreamConfig::Stdio(config) => return Ok(Link::Stdio(config.clone())),
        UpstreamConfig::Http { credential, url } => (credential, url),
    };
    let mut headers = HeaderMap::new();
    if let Some((header, secret)) = credential {
        let header = HeaderName::try_from(header)
            .map_err(|_| format!("[upstream.mcp.{name}] credential: `{header}` is not a header's name"))?;
        let secret = HeaderValue::try_from(secret)
            .map_err(|_| format!("[upstream.mcp.{name}] credential: the secret cannot be a header's value"))?;
        headers.insert(header, secret);
    }
    let parsed = HttpUpstreamConfig::parse(url, headers, HttpUpstreamLimits::DEFAULT);
    parsed.map(Link::Http).map_err(|error| format!("[upstream.mcp.{name}] url: {error}"))
}

impl Gate for RunGate {
    type Session = AgentSession;
    type Ticket = Ticket;

    fn admit(&self, server: &str, bearer: Option<&str>) -> Result<Admission<Ticket>, AdmitError> {
        if self.gateway.readiness() == Readiness::Stopping {
            return Err(AdmitError::Unavailable("the gateway is shutting down".to_owned()));
        }
        let unauthorized = |text: &str| AdmitError::Unauthorized(text.to_owned());
        let token = bearer.ok_or_else(|| {
            unauthorized("send the run's token: `Authorization: Bearer TOKEN`; `countersign run start` gives one")
        })?;
        let run = self.gateway.runs.bearing(token).ok_or_else(|| unauthorized("the run token is not known here"))?;
        // An ended run's sessions stay readable to nobody: what it may still be told is in the evidence.
        match run.standing(clock::now()) {
            Standing::Open => {}
            standing => return Err(unauthorized(&format!("the run is {}; start another", standing.as_str()))),
        }
        if !self.upstreams.contains_key(server) {
            return Err(AdmitError::UnknownServer(format!("no upstream `{server}` is configured")));
        }
        let policy = self
            .gateway
            .missions
            .policy(&run.terms.mission)
            .ok_or_else(|| unauthorized("the run's mission is not loaded"))?;
        if !policy.load().upstreams().any(|name| **name == *server) {
            return Err(AdmitError::Forbidden(format!("the run's mission does not name `{server}`")));
        }
        Ok(Admission { holder: Holder(Sha256::digest(token.as_bytes()).into()), ticket: Ticket { policy, run } })
    }

    async fn connect(&self, server: &str, ticket: Ticket) -> Result<Connected<AgentSession>, ConnectError> {
        let link = self
            .upstreams
            .get(server)
            .ok_or_else(|| ConnectError::Upstream(format!("no upstream `{server}` is configured")))?;
        let (upstream, incoming) = match link {
            Link::Http(config) => {
                let (upstream, incoming) = HttpUpstream::connect(config.clone());
                (Upstream::Http(upstream), incoming)
            }
            Link::Stdio(config) => {
                let (upstream, incoming) =
                    StdioUpstream::start(config).map_err(|error| ConnectError::Upstream(error.to_string()))?;
                (Upstream::Stdio(upstream), incoming)
            }
        };
        let session =
            AgentSession::new(self.gateway.clone(), ticket.run, ticket.policy, server.into(), Authenticated::RunToken);
        Ok(Connected { incoming, session: Arc::new(session), upstream })
    }

    fn randomness(&self) -> [u8; 32] {
        let mut bits = [0; 32];
        clock::random(&mut bits);
        bits
    }
}
