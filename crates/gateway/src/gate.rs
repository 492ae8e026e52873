//! Who may come in over the network: agents with the token of an open run, or with one that the configured authorization server signed, to the upstreams that their
//! mission names.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::record::{AccessToken, Authenticated, Context, ExceptionKind, ExceptionRecord, Surface};
use evidence::time::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use sha2::{Digest, Sha256};
use surfaces::mcp::downstream::http::{
    Admission, AdmitError, Caller, ConnectError, Connected, Gate, Holder, Protection, TurnedAway,
};
use surfaces::mcp::upstream::Upstream;
use surfaces::mcp::upstream::http::{HttpUpstream, HttpUpstreamConfig, HttpUpstreamLimits};
use surfaces::mcp::upstream::stdio::{StdioConfig, StdioUpstream};
use surfaces::mcp::web::WebUrl;

use crate::auth::grant::Granted;
use crate::auth::keys::KeyError;
use crate::auth::{Accepted, Auth, ExamineError, METADATA_PATH};
use crate::config::{Config, UpstreamConfig};
use crate::identity::of_url;
use crate::limits::REFUSAL_CHARS_MAX;
use crate::missions::Policy;
use crate::oauth::UpstreamTokens;
use crate::oauth::vault::Vault;
use crate::refusals::{GATEWAY, Sort};
use crate::runs::{Run, RunError, Standing, Wanted, Which};
use crate::session::{AgentSession, Proof};
use crate::{Gateway, Readiness, clock};

/// The gate of one listener.
#[derive(Debug)]
pub struct RunGate {
    auth: Option<Arc<Auth>>,
    gateway: Arc<Gateway>,
    upstreams: BTreeMap<String, Link>,
}

/// How an upstream is reached, ready for use.
#[derive(Debug)]
enum Link {
    /// With who it is.
    Http(HttpUpstreamConfig, String),
    Stdio(StdioConfig),
}

/// What a good token says.
#[derive(Debug)]
pub struct Ticket {
    policy: Policy,
    run: Arc<Run>,
    /// The access token, where it was not a run token.
    token: Option<AccessToken>,
}

/// Why somebody is not let in.
#[derive(Debug)]
struct Refused {
    error: AdmitError,
    /// Whom it is about, where a token says so that is known or verified.
    whom: Option<String>,
}

impl From<AdmitError> for Refused {
    fn from(error: AdmitError) -> Self {
        Self { error, whom: None }
    }
}

/// Whether an automation whose run is over is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It may still say what became of a step.
    Let,
    /// It may do nothing more.
    Refused,
}

const UNKNOWN_NAME: &str = "a request came by a name that is not the gateway's, or from a foreign page";

const MISPLACED_TOKEN: &str = "a request's token was not where one belongs, or there were several";

/// What run tokens begin with; no signed token does.
const RUN_TOKEN: &str = "cst_";

impl RunGate {
    /// The gate to the upstreams of `config`.
    ///
    /// # Errors
    /// A text that says which upstream cannot be reached as configured.
    pub fn new(gateway: Arc<Gateway>, config: &Config) -> Result<Self, String> {
        let vault = Vault::of(&gateway.home);
        let upstreams =
            config.upstreams.iter().map(|(name, upstream)| Ok((name.clone(), link(name, upstream, &vault)?)));
        let auth = config.auth.clone().map(|auth| Arc::new(Auth::new(auth, config.public.clone())));
        Ok(Self { auth, gateway, upstreams: upstreams.collect::<Result<_, String>>()? })
    }

    /// The metadata of the protected resource at `path`, for an agent that called the gateway `host` (RFC 9728).
    ///
    /// # Errors
    /// A sentence that says why there is none.
    pub fn metadata(&self, host: &str, path: &str) -> Result<String, String> {
        let auth = self.auth.as_ref().ok_or(
            "no authorization server is configured here; agents come in with a run token, which `countersign run start` gives",
        )?;
        let server = match path.strip_prefix(METADATA_PATH).unwrap_or_default() {
            "" | "/" => None,
            rest => Some(rest.strip_prefix("/mcp/").filter(|name| self.upstreams.contains_key(*name)).ok_or(
                "there is no such endpoint; the metadata of one is at /.well-known/oauth-protected-resource/mcp/SERVER",
            )?),
        };
        Ok(auth.metadata(host, server))
    }

    fn is_open(&self) -> Result<(), AdmitError> {
        if self.gateway.readiness() == Readiness::Stopping {
            return Err(AdmitError::Unavailable("the gateway is shutting down".to_owned()));
        }
        Ok(())
    }

    /// Lets the token of a run in.
    fn admit_run(&self, server: &str, token: &str) -> Result<Admission<Ticket>, Refused> {
        let unauthorized = |text: &str| AdmitError::Unauthorized(text.to_owned());
        let run = self.gateway.runs.bearing(token).ok_or_else(|| unauthorized("the run token is not known here"))?;
        let whom = |error: AdmitError| Refused { error, whom: Some(format!("run:{}", run.id)) };
        // An ended run's sessions stay readable to nobody: what it may still be told is in the evidence.
        match run.standing(clock::now()) {
            Standing::Open => {}
            standing => return Err(whom(unauthorized(&format!("the run is {}; start another", standing.as_str())))),
        }
        let ticket = self.ticket(server, run.clone(), None).map_err(whom)?;
        Ok(Admission { holder: Holder(Sha256::digest(token.as_bytes()).into()), ticket })
    }

    /// Lets a signed token in that is known to be good and whose run is open.
    fn admit_seen(&self, auth: &Auth, caller: Caller<'_>, token: &str) -> Result<Admission<Ticket>, Refused> {
        let accepted = auth.seen(token).ok_or(AdmitError::Unexamined)?;
        let whom = |error: AdmitError| Refused { error, whom: Some(accepted.whom()) };
        let at = clock::now();
        let granted =
            auth.authorize(&accepted, caller.host, caller.server, seconds(at)).map_err(|denied| whom(denied.into()))?;
        let run = accepted.run(granted.grant).filter(|run| run.standing(at) == Standing::Open);
        self.admission(caller.server, &accepted, run.ok_or(AdmitError::Unexamined)?).map_err(whom)
    }

    fn admission(&self, server: &str, accepted: &Accepted, run: Arc<Run>) -> Result<Admission<Ticket>, AdmitError> {
        let holder = accepted.holder(&run);
        Ok(Admission { holder, ticket: self.ticket(server, run, Some(accepted.facts()))? })
    }

    /// Examines a signed token, and lets it join its run.
    async fn examine_signed(&self, auth: &Auth, caller: Caller<'_>, token: &str) -> Result<Admission<Ticket>, Refused> {
        let accepted = match auth.examine(token).await {
            Ok(accepted) => accepted,
            Err(error) => {
                if let ExamineError::Key(KeyError::Unavailable { begins: true, why }) = &error {
                    self.note_outage(auth, why).await;
                }
                return Err(AdmitError::from(error).into());
            }
        };
        let whom = |error: AdmitError| Refused { error, whom: Some(accepted.whom()) };
        let granted = auth
            .authorize(&accepted, caller.host, caller.server, seconds(clock::now()))
            .map_err(|denied| whom(denied.into()))?;
        if !self.upstreams.contains_key(caller.server) {
            return Err(whom(unknown(caller.server)));
        }
        let run = self.join(auth, &accepted, granted).await.map_err(whom)?;
        accepted.joined(granted.grant, run.clone());
        self.admission(caller.server, &accepted, run).map_err(whom)
    }

    /// The open run of a grant's mission and agent for this initiator, or a new one.
    async fn join(&self, auth: &Auth, accepted: &Accepted, granted: Granted<'_>) -> Result<Arc<Run>, AdmitError> {
        let grant = auth.grant(granted.grant).ok_or(AdmitError::Unexamined)?;
        let wanted = Wanted {
            agent: grant.agent.clone(),
            initiator: granted.initiator.to_owned(),
            lasts_us: grant.lasts_us,
            mission: grant.mission.clone(),
            words: None,
        };
        let who = format!("{} at {}", accepted.claims.subject, accepted.claims.issuer);
        let joined = self.gateway.join_run(&wanted, Authenticated::Oidc, Which::Joined, &who).await;
        joined.map_err(|error| match error {
            RunError::Full | RunError::Unrecorded(_) => AdmitError::Unavailable(error.to_string()),
            RunError::Agent { .. }
            | RunError::Closed { .. }
            | RunError::Mission(_)
            | RunError::Revoked(_)
            | RunError::Other(_)
            | RunError::Unfit(_)
            | RunError::Unknown(_) => AdmitError::Forbidden(error.to_string()),
        })
    }

    /// The run of an automation that comes with its token, and the mission's policy. With `Closed::Let`, the run may be over: then it may say what became of a step.
    ///
    /// # Errors
    /// [`AdmitError`] says what the automation is told; it is noted.
    pub(crate) fn automation(&self, caller: Caller<'_>, closed: Closed) -> Result<(Arc<Run>, Policy), AdmitError> {
        let found = self.is_open().map_err(Refused::from).and_then(|()| self.run_of(caller, closed));
        found.map_err(|refused| self.bar(caller, refused))
    }

    fn run_of(&self, caller: Caller<'_>, closed: Closed) -> Result<(Arc<Run>, Policy), Refused> {
        let unauthorized = |text: &str| AdmitError::Unauthorized(text.to_owned());
        let token = caller.bearer.filter(|token| token.starts_with(RUN_TOKEN)).ok_or_else(|| {
            unauthorized(
                "send the run's token: `Authorization: Bearer TOKEN`; `countersign run start --format token` gives one",
            )
        })?;
        let run = self.gateway.runs.bearing(token).ok_or_else(|| unauthorized("the run token is not known here"))?;
        let whom = |error: AdmitError| Refused { error, whom: Some(format!("run:{}", run.id)) };
        match (run.standing(clock::now()), closed) {
            (Standing::Open, _) | (_, Closed::Let) => {}
            (standing, Closed::Refused) => {
                return Err(whom(unauthorized(&format!("the run is {}; start another", standing.as_str()))));
            }
        }
        let policy = self.gateway.missions.policy(&run.terms.mission);
        let policy = policy.ok_or_else(|| whom(unauthorized("the run's mission is not loaded")))?;
        Ok((run, policy))
    }

    /// What a run may do at a server.
    fn ticket(&self, server: &str, run: Arc<Run>, token: Option<AccessToken>) -> Result<Ticket, AdmitError> {
        if !self.upstreams.contains_key(server) {
            return Err(unknown(server));
        }
        let policy = self
            .gateway
            .missions
            .policy(&run.terms.mission)
            .ok_or_else(|| AdmitError::Unauthorized("the run's mission is not loaded".to_owned()))?;
        if !policy.load().upstreams(Surface::Mcp).any(|name| **name == *server) {
            return Err(AdmitError::Forbidden(format!("the run's mission does not name `{server}`")));
        }
        Ok(Ticket { policy, run, token })
    }

    /// Takes note of somebody who is not let in; gives what they are told.
    fn bar(&self, caller: Caller<'_>, Refused { error, whom }: Refused) -> AdmitError {
        let reason = match &error {
            // Not judged yet, nobody is let in any more, or a client that asks where to get a token, which is how the protocol begins.
            AdmitError::Unexamined => return error,
            AdmitError::Unavailable(_) if self.gateway.readiness() == Readiness::Stopping => return error,
            AdmitError::Unauthorized(_) if caller.bearer.is_none() && self.auth.is_some() => return error,
            // The name is of the caller's choice.
            AdmitError::UnknownServer(_) => "no such upstream is configured",
            AdmitError::Forbidden(text) | AdmitError::Unauthorized(text) | AdmitError::Unavailable(text) => text,
            AdmitError::InsufficientScope { text, .. } => text,
        };
        let sort = Sort { kind: ExceptionKind::Access, name: reason.to_owned(), scope: self.scope(caller, whom) };
        self.gateway.note_refusal(sort, &format!("an agent was not let in: {reason}"));
        error
    }

    /// Whom a refusal is about: the one whom the token names, or else the server.
    fn scope(&self, caller: Caller<'_>, whom: Option<String>) -> String {
        let server = || self.upstreams.get_key_value(caller.server).map(|(name, _)| format!("upstream:{name}"));
        whom.or_else(server).unwrap_or_else(|| GATEWAY.to_owned())
    }

    /// Whom a good token is about.
    fn whom(&self, caller: Caller<'_>) -> Option<String> {
        let token = caller.bearer?;
        match self.gateway.runs.bearing(token) {
            Some(run) => Some(format!("run:{}", run.id)),
            None => self.auth.as_ref()?.seen(token).map(|accepted| accepted.whom()),
        }
    }

    fn look(&self, caller: Caller<'_>) -> Result<Admission<Ticket>, Refused> {
        self.is_open()?;
        match (&self.auth, caller.bearer) {
            (Some(auth), Some(token)) if !token.starts_with(RUN_TOKEN) => self.admit_seen(auth, caller, token),
            (_, Some(token)) => self.admit_run(caller.server, token),
            (Some(auth), None) => Err(AdmitError::Unauthorized(format!(
                "send an access token of `{}` for this endpoint: `Authorization: Bearer TOKEN`",
                auth.issuer()
            ))
            .into()),
            (None, None) => Err(AdmitError::Unauthorized(
                "send the run's token: `Authorization: Bearer TOKEN`; `countersign run start` gives one".to_owned(),
            )
            .into()),
        }
    }

    /// Records that the authorization server's keys cannot be had, once for each outage.
    async fn note_outage(&self, auth: &Auth, why: &str) {
        let at = clock::now();
        let body = ExceptionRecord {
            mitigation: Some("nobody is let in with a token of this issuer".to_owned()),
            ..self.gateway.opening(ExceptionKind::Issuer, format!("issuer:{}", auth.issuer()), why.to_owned(), at)
        };
        if let Err(error) = self.gateway.note(Context::system().into(), body).await {
            tracing::error!(%error, "an outage of the authorization server could not be recorded");
        }
    }
}

/// The message of a JSON-RPC error, cut to size.
pub(crate) fn said(told: &[u8]) -> String {
    let told: Value = serde_json::from_slice(told).unwrap_or_default();
    let message = told.pointer("/error/message").and_then(Value::as_str).unwrap_or("without a word");
    message.chars().take(REFUSAL_CHARS_MAX).collect()
}

fn unknown(server: &str) -> AdmitError {
    AdmitError::UnknownServer(format!("no upstream `{server}` is configured"))
}

/// Seconds since 1970.
fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000)
}

fn link(name: &str, config: &UpstreamConfig, vault: &Vault) -> Result<Link, String> {
    let (credential, oauth, url) = match config {
        UpstreamConfig::Stdio(config) => return Ok(Link::Stdio(config.clone())),
        UpstreamConfig::Http { credential, oauth, url } => (credential, oauth, url),
    };
    let mut headers = HeaderMap::new();
    if let Some((header, secret)) = credential {
        let header = HeaderName::try_from(header)
            .map_err(|_| format!("[upstream.mcp.{name}] credential: `{header}` is not a header's name"))?;
        let secret = HeaderValue::try_from(secret)
            .map_err(|_| format!("[upstream.mcp.{name}] credential: the secret cannot be a header's value"))?;
        headers.insert(header, secret);
    }
    let refused = |error: &dyn std::fmt::Display| format!("[upstream.mcp.{name}] url: {error}");
    let parsed =
        HttpUpstreamConfig::parse(url, headers, HttpUpstreamLimits::DEFAULT).map_err(|error| refused(&error))?;
    let identity = of_url(url);
    let Some(oauth) = oauth else { return Ok(Link::Http(parsed, identity)) };
    let address = WebUrl::parse(url).map_err(|error| refused(&error))?;
    let tokens = UpstreamTokens::new(name, address, oauth.clone(), vault.clone());
    Ok(Link::Http(parsed.authorized(Arc::new(tokens)), identity))
}

impl Gate for RunGate {
    type Session = AgentSession;
    type Ticket = Ticket;

    fn admit(&self, caller: Caller<'_>) -> Result<Admission<Ticket>, AdmitError> {
        self.look(caller).map_err(|refused| self.bar(caller, refused))
    }

    async fn examine(&self, caller: Caller<'_>) -> Result<Admission<Ticket>, AdmitError> {
        match (&self.auth, caller.bearer) {
            (Some(auth), Some(token)) => {
                let examined = self.examine_signed(auth, caller, token).await;
                examined.map_err(|refused| self.bar(caller, refused))
            }
            _ => self.admit(caller),
        }
    }

    fn turned_away(&self, why: TurnedAway<'_>) {
        let (name, scope, reason) = match why {
            TurnedAway::Foreign => ("foreign".to_owned(), GATEWAY.to_owned(), UNKNOWN_NAME.to_owned()),
            TurnedAway::Misplaced => ("misplaced".to_owned(), GATEWAY.to_owned(), MISPLACED_TOKEN.to_owned()),
            TurnedAway::Unfit { caller, status, told } => (
                status.as_str().to_owned(),
                self.scope(caller, self.whom(caller)),
                format!("a request was refused: {}", said(told)),
            ),
        };
        self.gateway.note_refusal(Sort { kind: ExceptionKind::Access, name, scope }, &reason);
    }

    fn protection(&self, caller: Caller<'_>) -> Option<Protection> {
        let auth = self.auth.as_ref()?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_known = self.upstreams.contains_key(caller.server) && caller.server.bytes().all(is_plain);
        let endpoint = if is_known { format!("/mcp/{}", caller.server) } else { String::new() };
        Some(Protection {
            metadata: format!("{}{METADATA_PATH}{endpoint}", auth.base(caller.host)),
            scope: auth.scope(),
        })
    }

    async fn connect(&self, server: &str, ticket: Ticket) -> Result<Connected<AgentSession>, ConnectError> {
        let link = self
            .upstreams
            .get(server)
            .ok_or_else(|| ConnectError::Upstream(format!("no upstream `{server}` is configured")))?;
        let (name, pins) = (format!("mcp:{server}"), ticket.policy.load().mission().pins());
        let identity = match link {
            Link::Http(_, identity) => {
                let sha256 = self.gateway.identified(&name, identity.clone(), pins);
                (name.into(), sha256)
            }
            Link::Stdio(config) => self.gateway.identify(&name, config.clone(), pins).await,
        };
        let (upstream, incoming) = match link {
            Link::Http(config, _) => {
                let (upstream, incoming) = HttpUpstream::connect(config.clone());
                (Upstream::Http(upstream), incoming)
            }
            Link::Stdio(config) => {
                let (upstream, incoming) =
                    StdioUpstream::start(config).map_err(|error| ConnectError::Upstream(error.to_string()))?;
                (Upstream::Stdio(upstream), incoming)
            }
        };
        let session = AgentSession::new(
            self.gateway.clone(),
            ticket.run,
            ticket.policy,
            server.into(),
            ticket.token.map_or(Proof::RunToken, Proof::AccessToken),
        )
        .identified(identity);
        Ok(Connected { incoming, session: Arc::new(session), upstream })
    }

    fn randomness(&self) -> [u8; 32] {
        let mut bits = [0; 32];
        clock::random(&mut bits);
        bits
    }
}
