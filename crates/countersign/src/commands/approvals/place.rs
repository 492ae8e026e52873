//! Where approvals are: in the home on this machine, or behind the API of a gateway elsewhere, which a session with the person's key opens.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use console::problem::{Code, ProblemDetails};
use console::sessions::statement as opening;
use console::wire::{
    Approvals, Challenge, ChallengeWanted, Counted, Grant, Login, Opened, Released, Reviewed, Revocation, Shown, State,
    Waiting,
};
use evidence::ids::ApprovalId;
use evidence::leaf::sha256_hex;
use gateway::Gateway;
use gateway::approvals::history::before;
use gateway::approvals::{Reviewed as Answered, Wanted};
use gateway::attachments::Attachments;
use gateway::control::{Answer, Ask};
use gateway::device::DeviceKey;
use gateway::home::Home;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::Reader;
use surfaces::mcp::web::{WebClient, WebUrl};

use crate::commands::{ask, block_on};
use crate::exit_code::Failure;

/// The largest answer of an API: arguments of 4 MiB twice, with every character escaped.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Where to look, and as whom.
#[derive(Args)]
pub(crate) struct At {
    /// The address of a gateway's console, such as https://approvals.corp.example; without one, the home on this machine
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_AT")]
    at: Option<String>,
    /// Who you are, as people.toml names you [default: whose key it is]
    #[arg(long = "as", value_name = "PERSON", env = "COUNTERSIGN_PERSON")]
    person: Option<String>,
    /// The file of your key. With --at it opens the session; without, and without a key, you answer as the operating system knows you, which most gates do not take
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEY")]
    key: Option<PathBuf>,
    /// Speak http to another machine, although everybody on the way can read and change what is sent
    #[arg(long)]
    plain_http: bool,
}

/// Where approvals are.
pub(super) enum Place<'h> {
    Console(Box<Console>),
    Home { home: &'h Home, key: Option<DeviceKey> },
}

/// A gateway's API, with an open session.
pub(super) struct Console {
    client: WebClient,
    is_plain: bool,
    key: DeviceKey,
    origin: String,
    token: String,
}

/// Whether the key is needed at home.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Sign,
}

impl At {
    /// Goes there. The key is opened where it is needed.
    pub(super) fn go(self, home: &Home, wanted: Use) -> Result<Place<'_>, Failure> {
        let open = |path: &PathBuf| {
            let key = super::super::people::open(path)?;
            match self.person.as_deref().filter(|person| *person != key.person()) {
                Some(person) => Err(Failure::usage(format!(
                    "`{}` is the key of `{}`, not of `{person}`",
                    path.display(),
                    key.person()
                ))),
                None => Ok(key),
            }
        };
        match (&self.at, &self.key) {
            (Some(at), Some(key)) => Ok(Place::Console(Box::new(Console::open(at, self.plain_http, open(key)?)?))),
            (Some(_), None) => Err(Failure::usage(
                "a session at --at needs your key: `--key FILE`, or COUNTERSIGN_KEY in the environment",
            )),
            (None, Some(key)) if wanted == Use::Sign => Ok(Place::Home { home, key: Some(open(key)?) }),
            (None, _) => Ok(Place::Home { home, key: None }),
        }
    }
}

impl Place<'_> {
    /// The person's key, where one is used.
    pub(super) fn key(&self) -> Option<&DeviceKey> {
        match self {
            Self::Console(console) => Some(&console.key),
            Self::Home { key, .. } => key.as_ref(),
        }
    }

    /// One page of approvals.
    pub(super) fn page(&self, wanted: &Wanted) -> Result<Approvals, Failure> {
        match self {
            Self::Console(console) => console.page(wanted),
            Self::Home { home, .. } => match ask(home, Ask::Approvals(wanted.clone()))? {
                Answer::Approvals(page) => {
                    Ok(Approvals { approvals: page.approvals.into_iter().map(Into::into).collect(), next: page.next })
                }
                answer => Err(unexpected(&answer)),
            },
        }
    }

    /// What reviewers are shown of an approval, in the very bytes of its digest, and what its run executed before.
    pub(super) fn show(&self, approval: &console::wire::Approval) -> Result<Seen, Failure> {
        let id = approval.approval;
        let seen = match self {
            Self::Console(console) => {
                let shown: Shown = console.get(&format!("/v1/approvals/{id}"))?;
                let text = shown.shown.ok_or_else(|| gone(id))?;
                Seen {
                    approval: shown.approval,
                    before: shown.before,
                    proposed: shown.proposed,
                    view: parsed(&text)?,
                    sha256: sha256_hex(text.as_bytes()),
                }
            }
            Self::Home { home, .. } => {
                let kept = Attachments::of(home).read(&approval.shown_sha256).map_err(Failure::could_not)?;
                let text = kept.ok_or_else(|| gone(id))?;
                let view: Value = serde_json::from_slice(&text).map_err(Failure::could_not)?;
                let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
                let before = before(&reader, &view).map_err(Failure::could_not)?.into_iter().map(Into::into).collect();
                let proposed = Gateway::proposed(home, &approval.reviews);
                Seen { approval: approval.clone(), before, proposed, sha256: sha256_hex(&text), view }
            }
        };
        // What is signed is what is here, and not what somebody says is here.
        let says = |name: &str| seen.view.get(name).and_then(Value::as_str).unwrap_or_default();
        if says("approval") != id.to_string() || says("call_sha256") != seen.approval.call_sha256 {
            return Err(Failure::could_not(format!("what is shown of `{id}` is about another call")));
        }
        Ok(seen)
    }

    /// Hands an answer in.
    pub(super) fn answer(&self, answered: Answered) -> Result<Counted, Failure> {
        match self {
            Self::Console(console) => {
                let unsigned = || Failure::usage("an answer over the API is signed");
                let path = format!("/v1/approvals/{}/reviews", answered.approval);
                let reviewed = Reviewed {
                    answer: answered.answer,
                    key: answered.key.ok_or_else(unsigned)?,
                    nonce: answered.nonce,
                    on_behalf_of: answered.on_behalf_of,
                    proposed: answered.proposed,
                    reason: answered.reason,
                    shown_sha256: answered.shown_sha256,
                    signature: answered.signature.ok_or_else(unsigned)?,
                    signed_at: answered.signed_at,
                    ticket: answered.ticket,
                };
                console.post(&path, &reviewed)
            }
            Self::Home { home, .. } => match ask(home, Ask::Review(Box::new(answered)))? {
                Answer::Counted(counted) => Ok(Counted { resolution: counted.resolution, standing: counted.standing }),
                answer => Err(unexpected(&answer)),
            },
        }
    }

    /// Takes back what was asked, or gives back what was granted; says which.
    pub(super) fn release(&self, approval: ApprovalId, why: String) -> Result<String, Failure> {
        match self {
            Self::Console(console) => {
                let released: Released =
                    console.post(&format!("/v1/approvals/{approval}/releases"), &Revocation { why })?;
                Ok(State::as_str(released.state).to_owned())
            }
            Self::Home { home, .. } => match ask(home, Ask::ReleaseApproval { approval, why })? {
                Answer::Released(is) => Ok(is),
                answer => Err(unexpected(&answer)),
            },
        }
    }

    /// Asks for a standing grant.
    pub(super) fn grant(&self, text: String) -> Result<Waiting, Failure> {
        match self {
            Self::Console(console) => console.post("/v1/standing-grants", &Grant { text }),
            Self::Home { home, .. } => match ask(home, Ask::GrantStanding { text })? {
                Answer::Waits(waits) => Ok(Waiting { approval: waits.approval, respond_by: waits.until }),
                answer => Err(unexpected(&answer)),
            },
        }
    }

    /// Takes back what was granted.
    pub(super) fn revoke(&self, approval: ApprovalId, why: String) -> Result<(), Failure> {
        match self {
            Self::Console(console) => {
                let path = format!("/v1/approvals/{approval}/revocations");
                console.send(Method::POST, &path, Some(json!(Revocation { why }))).map(drop)
            }
            Self::Home { home, .. } => ask(home, Ask::RevokeApproval { approval, why }).map(drop),
        }
    }

    /// Ends what was opened.
    pub(super) fn leave(self) {
        if let Self::Console(console) = self {
            // It would end by itself.
            let _best_effort = console.send(Method::DELETE, "/v1/sessions/current", None);
        }
    }
}

/// What a person sees before they answer.
pub(super) struct Seen {
    pub(super) approval: console::wire::Approval,
    pub(super) before: Vec<console::wire::Executed>,
    /// The arguments that a person proposed instead, as JSON.
    pub(super) proposed: Option<String>,
    /// Digest of the view's bytes, computed here.
    pub(super) sha256: String,
    pub(super) view: Value,
}

fn gone(id: ApprovalId) -> Failure {
    Failure::could_not(format!("what `{id}` shows is not in this home"))
}

fn parsed(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(Failure::could_not)
}

fn unexpected(answer: &Answer) -> Failure {
    Failure::could_not(format!("the gateway answered with something else: {answer:?}"))
}

impl Console {
    /// Opens a session at `at` with `key`.
    fn open(at: &str, is_plain: bool, key: DeviceKey) -> Result<Self, Failure> {
        let url = address(at.trim_end_matches('/'), is_plain)?;
        if url.path() != "/" {
            return Err(Failure::usage(format!("`{at}`: leave out the path; the API is at the root of its host")));
        }
        let origin = url.origin().to_ascii_lowercase();
        let mut console =
            Self { client: WebClient::reading(ANSWER_BYTES_MAX), is_plain, key, origin, token: String::new() };
        let person = console.key.person().to_owned();
        let wanted = ChallengeWanted { person: person.clone() };
        let Challenge { challenge, .. } = console.post("/v1/sessions/challenges", &wanted)?;
        let id = console.key.id();
        let signature = console.key.sign(&opening(&console.origin, &challenge, &id, &person));
        let opened: Opened = console.post("/v1/sessions", &Login { challenge, key: id, person, signature })?;
        console.token = opened.token;
        Ok(console)
    }

    fn page(&self, wanted: &Wanted) -> Result<Approvals, Failure> {
        let mut query = format!("limit={}", wanted.limit);
        if let Some(after) = wanted.after {
            query.push_str(&format!("&after={after}"));
        }
        if let Some(begins) = &wanted.begins {
            if begins.is_empty() || !begins.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
                return Ok(Approvals { approvals: Vec::new(), next: None });
            }
            query.push_str(&format!("&begins={begins}"));
        }
        if let Some(state) = wanted.state {
            query.push_str(&format!("&state={}", state.as_str()));
        }
        self.get(&format!("/v1/approvals?{query}"))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.read(&self.send(Method::GET, path, None)?)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.read(&self.send(Method::POST, path, Some(json!(body)))?)
    }

    fn read<T: DeserializeOwned>(&self, body: &Bytes) -> Result<T, Failure> {
        let other = |error| Failure::could_not(format!("`{}` answered with something else: {error}", self.origin));
        serde_json::from_slice(body).map_err(other)
    }

    fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Bytes, Failure> {
        let url = address(&format!("{}{path}", self.origin), self.is_plain)?;
        let mut request = Request::builder().method(method);
        if !self.token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        }
        let body = body.map(|body| body.to_string());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Bytes::from(body.unwrap_or_default())).map_err(Failure::could_not)?;
        let response = block_on(self.client.ask(&url, request))?.map_err(Failure::could_not)?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        Err(self.refused(response.status(), response.body()))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        match serde_json::from_slice::<ProblemDetails>(body) {
            Ok(problem) => {
                let text = format!("{}; {}", problem.detail, problem.mend);
                match problem.code {
                    Code::RequestUnfit => Failure::usage(text),
                    Code::Unavailable => Failure::could_not(text),
                    _ => Failure::no(text),
                }
            }
            Err(_) => Failure::could_not(format!("`{}` answered {status}, which a console does not", self.origin)),
        }
    }
}

fn address(text: &str, is_plain: bool) -> Result<WebUrl, Failure> {
    let parsed = if is_plain { WebUrl::parse_plain(text) } else { WebUrl::parse(text) };
    parsed.map_err(|error| Failure::usage(format!("{error}; --plain-http allows http to another machine")))
}
