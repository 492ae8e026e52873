//! What goes over the wire, in both directions. Approvals are as the gateway shows them; evidence goes out as it is recorded.

mod content;

use std::collections::BTreeMap;

use evidence::ids::ApprovalId;
use evidence::record::approval::{Answer, Gate, Resolution, Review};
use evidence::time::Timestamp;
use gateway::approvals::history::{Before, Told};
use gateway::approvals::{ApprovalState, ApprovalView, Turn};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

pub use self::content::{Contents, Kept, Opening, Part};

use crate::limits::PAGE_MAX;
use crate::problem::{Code, Problem};

/// The wish for a challenge.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeWanted {
    /// Who, as people.toml names them.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    pub person: String,
}

/// What is signed to open a session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// Good for one session of this person.
    #[schema(pattern = "^[A-Za-z0-9_-]{75}$")]
    pub challenge: String,
    /// When it lapses.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// A challenge with its signature.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The challenge.
    #[schema(pattern = "^[A-Za-z0-9_-]{75}$")]
    pub challenge: String,
    /// Id of the key: SHA-256 of its public half.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub key: String,
    /// Who.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    pub person: String,
    /// Ed25519 over `countersign session v1`, a line feed, and the RFC 8785 form of `{audience, challenge, key, person, v}`, in base64. The audience is scheme and host of this
    /// address, `v` is 1.
    #[schema(pattern = "^[A-Za-z0-9+/]{86}==$")]
    pub signature: String,
}

/// An open session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Whose it is.
    pub person: String,
    /// Told once; sent as `Authorization: Bearer TOKEN`.
    pub token: String,
}

/// Who asks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Me {
    /// Their groups.
    pub groups: Vec<String>,
    /// Their keys, with how each stands: `confirmed`, `enrolled` or `revoked`.
    pub keys: BTreeMap<String, String>,
    /// How they are called, where people.toml says so.
    pub name: Option<String>,
    /// Who, as people.toml names them.
    pub person: String,
    /// When this session ends.
    #[schema(value_type = String, format = DateTime)]
    pub session_expires_at: Timestamp,
}

/// Where in its life an approval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It may be used.
    Approved,
    /// Somebody said no.
    Denied,
    /// Somebody proposed other arguments.
    Edited,
    /// A clock ended.
    Expired,
    /// Answers are awaited.
    Open,
    /// What was granted was given back.
    Released,
    /// What was granted was taken back.
    Revoked,
    /// Every use is consumed.
    Used,
    /// The question was taken back.
    Withdrawn,
}

impl State {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ApprovalState::from(self).as_str()
    }
}

macro_rules! same_words {
    ($($word:ident)+) => {
        impl From<ApprovalState> for State {
            fn from(state: ApprovalState) -> Self {
                match state { $(ApprovalState::$word => Self::$word,)+ }
            }
        }

        impl From<State> for ApprovalState {
            fn from(state: State) -> Self {
                match state { $(State::$word => Self::$word,)+ }
            }
        }
    };
}

same_words!(Approved Denied Edited Expired Open Released Revoked Used Withdrawn);

/// What a person answers.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(as = Answer, rename_all = "snake_case")]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Answer`")]
enum AnswerForm {
    /// The call may run, as far as this person goes.
    Approve,
    /// Something must be told first; the clock goes on.
    Ask,
    /// The call must run now, without those whom the gate asks; they look at it afterwards.
    BreakGlass,
    /// The call must not run.
    Deny,
    /// The call must not run as it is: other arguments are proposed, which make another call.
    Edit,
    /// This person leaves the answer to others, for good.
    Recuse,
    /// This person takes back what they answered before.
    Withdraw,
}

/// How sure it is that a person gave an answer.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(as = Assurance, rename_all = "snake_case")]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Assurance`")]
enum AssuranceForm {
    /// The operating system vouched for the user.
    OsUser,
    /// A key that only the person's passphrase opens signed the answer.
    DeviceKey,
    /// A passkey signed the answer, with the person there.
    Passkey,
}

/// What the answers add up to.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(as = Resolution, rename_all = "snake_case")]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Resolution`")]
enum ResolutionForm {
    /// Every gate is satisfied.
    Approved,
    /// Somebody who may answer said no.
    Denied,
    /// Somebody who may answer proposed other arguments; the call does not run.
    Edited,
    /// Whoever asked takes the question back.
    Withdrawn,
}

/// A gate with the thresholds in force.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = Gate)]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Gate`")]
struct GateForm {
    /// The weakest assurance with which an answer counts.
    assurance: AssuranceForm,
    /// Who may let the call through in an emergency; absent where nobody.
    #[schema(nullable = false)]
    break_glass: Option<BreakGlassForm>,
    /// Who may answer as well, after a while; absent where nobody.
    #[schema(nullable = false)]
    escalate: Option<EscalationForm>,
    /// How long an approval may be used, in seconds from its resolution.
    grant_s: u64,
    /// Its name in the mission.
    name: String,
    /// How often those who have not answered are reminded, in seconds; absent where never.
    #[schema(nullable = false)]
    remind_s: Option<u64>,
    /// How long people have to answer, in seconds from the request.
    respond_s: u64,
    /// Whose approval is needed, one stage after the other.
    stages: Vec<StageForm>,
    /// How many executions one approval covers.
    uses: u32,
}

/// Who may answer as well, once a gate is not satisfied for a while.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = Escalation)]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Escalation`")]
struct EscalationForm {
    /// After how long, in seconds from the request.
    after_s: u64,
    /// The group whose members may answer wherever the gate asks.
    group: String,
}

/// Who may let a call through in an emergency.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = BreakGlass)]
#[expect(dead_code, reason = "the form of `evidence::record::approval::BreakGlass`")]
struct BreakGlassForm {
    /// How long the call may then run, in seconds from the resolution; once.
    grant_s: u64,
    /// The group whose members may.
    group: String,
    /// How many of it, at least 1.
    need: u32,
    /// Within how many seconds one of those who were skipped must have looked at it.
    review_s: u64,
}

/// A step of a gate: one of its alternatives satisfies it.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = Stage)]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Stage`")]
struct StageForm {
    /// One of these.
    any_of: Vec<AlternativeForm>,
}

/// Quorums that are needed together.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = Alternative)]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Alternative`")]
struct AlternativeForm {
    /// All of these.
    all_of: Vec<QuorumForm>,
}

/// So many persons of a group.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = Quorum)]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Quorum`")]
struct QuorumForm {
    /// The group.
    group: String,
    /// How many of it.
    need: u32,
}

/// One person's answer, as the evidence has it.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = Review)]
#[expect(dead_code, reason = "the form of `evidence::record::approval::Review`")]
struct ReviewForm {
    /// What is answered.
    answer: AnswerForm,
    /// How sure it is that the person answered.
    assurance: AssuranceForm,
    /// Through what: `api` or `cli`.
    channel: String,
    /// Those of the gates' groups that the person belongs to.
    groups: Vec<String>,
    /// The key that signed; absent where none did.
    #[schema(nullable = false)]
    key: Option<String>,
    /// Random.
    nonce: String,
    /// For whom the person stands in; absent where for nobody.
    #[schema(nullable = false)]
    on_behalf_of: Option<String>,
    /// SHA-256 of the arguments that the person proposes; absent where none are.
    #[schema(nullable = false)]
    proposed_sha256: Option<String>,
    /// Why, in the person's words.
    reason: String,
    /// Who.
    reviewer: String,
    /// SHA-256 of what the person was shown.
    shown_sha256: String,
    /// Ed25519 over the statement, in base64; absent where nothing signed.
    #[schema(nullable = false)]
    signature: Option<String>,
    /// When the person signed, by their own clock.
    #[schema(format = DateTime)]
    signed_at: String,
    /// Where the emergency is written down; absent where glass was not broken.
    #[schema(nullable = false)]
    ticket: Option<String>,
}

/// One approval.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who acts.
    pub agent: String,
    /// Which.
    #[schema(value_type = String, format = "uuid")]
    pub approval: ApprovalId,
    /// SHA-256 of the exact argument bytes.
    pub args_sha256: String,
    /// When people were asked.
    #[schema(value_type = String, format = DateTime)]
    pub asked_at: Timestamp,
    /// What it is bound to.
    pub call_sha256: String,
    /// The gates, with their thresholds.
    #[schema(value_type = Vec<GateForm>)]
    pub gates: Vec<Gate>,
    /// The argument of which it endorses one value, or is to; null of anything else.
    pub endorses: Option<String>,
    /// SHA-256 of the gates.
    pub gates_sha256: String,
    /// On whose behalf the agent acts.
    pub initiator: String,
    /// The mission.
    pub mission: String,
    /// When what was granted lapses.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_after: Option<Timestamp>,
    /// How often those who have not answered were reminded.
    pub reminded: u32,
    /// When silence becomes a no.
    #[schema(value_type = String, format = DateTime)]
    pub respond_by: Timestamp,
    /// Every answer, in order.
    #[schema(value_type = Vec<ReviewForm>)]
    pub reviews: Vec<Review>,
    /// Why people are asked: the rule, in a sentence.
    pub sentence: String,
    /// SHA-256 of what reviewers are shown.
    pub shown_sha256: String,
    /// How the gates stand, in sentences.
    pub standing: Vec<String>,
    /// The name of the standing grant that it is, or asks for; null of calls and changes.
    pub standing_grant: Option<String>,
    /// Where in its life it is.
    pub state: State,
    /// The tool.
    pub tool: String,
    /// How often it was used.
    pub used: u32,
}

impl From<ApprovalView> for Approval {
    fn from(view: ApprovalView) -> Self {
        Self {
            agent: view.agent,
            approval: view.approval,
            args_sha256: view.args_sha256,
            asked_at: view.asked_at,
            call_sha256: view.call_sha256,
            endorses: view.endorses,
            gates: view.gates,
            gates_sha256: view.gates_sha256,
            initiator: view.initiator,
            mission: view.mission,
            not_after: view.not_after,
            reminded: view.reminded,
            respond_by: view.respond_by,
            reviews: view.reviews,
            sentence: view.sentence,
            shown_sha256: view.shown_sha256,
            standing: view.standing,
            standing_grant: view.standing_grant,
            state: view.state.into(),
            tool: view.tool,
            used: view.used,
        }
    }
}

/// What is listed.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listed {
    /// Only approvals after this one: the `next` of the page before.
    #[param(value_type = Option<String>, pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", nullable = false)]
    pub after: Option<ApprovalId>,
    /// Only those whose ids begin so.
    #[param(pattern = "^[0-9a-f-]{1,36}$", nullable = false)]
    pub begins: Option<String>,
    /// So many at most; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200, nullable = false)]
    pub limit: Option<u16>,
    /// `true`: only those where your answer is awaited.
    #[param(nullable = false)]
    pub mine: Option<bool>,
    /// Only those in this state.
    #[param(inline, nullable = false)]
    pub state: Option<State>,
}

/// A page of approvals, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// What is on it.
    pub approvals: Vec<Approval>,
    /// After which one the next page begins, where there may be more. A page of what you may answer can be shorter than its limit, or empty, and another follows.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub next: Option<ApprovalId>,
}

/// What you may do about an approval now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct You {
    /// The answers that you may give for yourself.
    #[schema(value_type = Vec<AnswerForm>)]
    pub answers: Vec<Answer>,
    /// Whether you may take back what was granted.
    pub may_revoke: bool,
    /// For whom you may say yes as a stand-in.
    pub on_behalf_of: Vec<String>,
    /// Why you may not say yes for yourself; null where you may.
    pub why_not: Option<String>,
}

/// Something that the run executed before.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Executed {
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whether it was the same tool with the very same arguments.
    pub is_same: bool,
    /// How it ended.
    pub status: String,
    /// The tool.
    pub tool: String,
}

impl From<Before> for Executed {
    fn from(before: Before) -> Self {
        Self { at: before.at, is_same: before.is_same, status: before.status.to_string(), tool: before.tool }
    }
}

/// One approval with everything that a person must see before they answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The approval.
    pub approval: Approval,
    /// The exact arguments of the call, as JSON text; null where this home does not have them any more.
    pub arguments: Option<String>,
    /// What the run executed before, the last ones, oldest first.
    pub before: Vec<Executed>,
    /// The arguments that a person proposed instead, as JSON text; null where nobody did, or this home does not have them any more.
    pub proposed: Option<String>,
    /// The exact arguments that the tool gets, as JSON text; absent where they are those that the agent sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// What reviewers are shown, as JSON text in the very bytes of `shown_sha256`: whoever answers computes the digest from it. Null where this home does not have it any more.
    pub shown: Option<String>,
    /// What you may do about it.
    pub you: You,
}

impl From<Told> for Shown {
    fn from(told: Told) -> Self {
        let Told { before, proposed, shown, turn, view } = told;
        let Turn { answers, is_concerned, on_behalf_of, why_not } = turn;
        let text = shown.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let of_view = |name: &str| text.as_ref().and_then(|view| view.get(name)?.as_str()).map(str::to_owned);
        Self {
            arguments: of_view("arguments"),
            before: before.into_iter().map(Executed::from).collect(),
            proposed,
            sent: of_view("sent"),
            shown,
            you: You {
                answers,
                may_revoke: is_concerned && view.state == ApprovalState::Approved,
                on_behalf_of: on_behalf_of.iter().map(ToString::to_string).collect(),
                why_not,
            },
            approval: view.into(),
        }
    }
}

/// Which records of an approval.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecordsListed {
    /// Only records after the first so many: the `next` of the page before.
    #[param(minimum = 0, maximum = 100000, nullable = false)]
    pub after: Option<u32>,
    /// So many at most; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200, nullable = false)]
    pub limit: Option<u16>,
}

/// A page of records, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Records {
    /// After how many records the next page begins, where there may be more.
    pub next: Option<u32>,
    /// The records as the ledger has them; docs/evidence.md says what is in them.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<Value>,
}

/// Which records of the ledger.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecordsAsked {
    /// Only records before this one: the `next` of the page before.
    #[param(minimum = 1, maximum = 9007199254740991_u64, nullable = false)]
    pub before: Option<u64>,
    /// Which; all where nothing is said. docs/evidence.md has the language.
    #[param(max_length = 4096, nullable = false)]
    pub filter: Option<String>,
    /// So many at most; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200, nullable = false)]
    pub limit: Option<u16>,
    /// Why: the look is recorded with it, which the organisation may demand.
    #[param(
        min_length = 1,
        max_length = 1024,
        pattern = "[^\\u0000-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]",
        nullable = false
    )]
    pub why: Option<String>,
}

/// A page of records, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordPage {
    /// Before which record the next page begins, where there may be more.
    pub next: Option<u64>,
    /// The records as the ledger has them; docs/evidence.md says what is in them.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<Value>,
}

/// Which records are followed.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Followed {
    /// Only records after this one; 0 for all. Those from now on where nothing is said.
    #[param(minimum = 0, maximum = 9007199254740991_u64, nullable = false)]
    pub after: Option<u64>,
    /// Which; all where nothing is said. Nothing that asks about other records.
    #[param(max_length = 4096, nullable = false)]
    pub filter: Option<String>,
    /// Why: it is recorded. Persons must say it; for a reader the configuration does.
    #[param(min_length = 1, max_length = 1024, nullable = false)]
    pub why: Option<String>,
}

/// A signed answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reviewed {
    /// What is answered.
    #[schema(value_type = AnswerForm)]
    pub answer: Answer,
    /// Id of the key that signed: SHA-256 of its public half.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub key: String,
    /// Random, 32 hexadecimal digits: an answer is signed once.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub nonce: String,
    /// For whom you stand in.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    pub on_behalf_of: Option<String>,
    /// The arguments that you propose, as the text of one JSON object; with `edit`, and with nothing else.
    #[serde(default)]
    #[schema(max_length = 16384)]
    pub proposed: Option<String>,
    /// Why, in your words.
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = "[^\\u0000-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    pub reason: String,
    /// SHA-256 of what you were shown, computed from it.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub shown_sha256: String,
    /// Ed25519 over the statement, in base64: `countersign review v1`, a line feed, and the RFC 8785 form of `{answer, approval, call_sha256, gates_sha256, nonce, on_behalf_of,
    /// proposed_sha256, reason_sha256, reviewer, shown_sha256, signed_at, ticket, v}`, without `on_behalf_of`, `proposed_sha256` and `ticket` where there is none.
    #[schema(pattern = "^[A-Za-z0-9+/]{86}==$")]
    pub signature: String,
    /// When you signed, by your own clock, in UTC to the microsecond.
    #[schema(value_type = String, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{6}Z$")]
    pub signed_at: Timestamp,
    /// Where the emergency is written down, such as INC-4711; with `break_glass`, and with nothing else.
    #[serde(default)]
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "[^\\u0000-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    pub ticket: Option<String>,
}

/// What an answer led to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// What the answers add up to, where that is settled.
    #[schema(value_type = Option<ResolutionForm>)]
    pub resolution: Option<Resolution>,
    /// How the gates stand, in sentences.
    pub standing: Vec<String>,
}

/// The wish to take back what was granted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Why: it is recorded.
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = "[^\\u0000-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    pub why: String,
}

/// What a question that was taken back, or a grant that was given back, is now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Released {
    /// `withdrawn` or `released`.
    pub state: State,
}

/// The wish for a standing grant.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The file: which calls, how many and until when, as docs/approver.md says.
    #[schema(max_length = 16384)]
    pub text: String,
}

/// That people are asked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Which approval.
    #[schema(value_type = String, format = "uuid")]
    pub approval: ApprovalId,
    /// When silence becomes a no.
    #[schema(value_type = String, format = DateTime)]
    pub respond_by: Timestamp,
}

/// Something about an approval is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    /// Which.
    #[schema(value_type = String, format = "uuid")]
    pub approval: ApprovalId,
    /// Where in its life it is now.
    pub state: State,
}

/// How many are wanted on a page.
pub(crate) fn limit(asked: Option<u16>, otherwise: u16) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(otherwise);
    if (1..=PAGE_MAX).contains(&limit) {
        Ok(usize::from(limit))
    } else {
        Err(unfit(format!("`limit` is {limit}; use 1 to {PAGE_MAX}")))
    }
}

/// A request that has another form than it must have.
pub(crate) fn unfit(detail: impl Into<String>) -> Problem {
    Problem::new(Code::RequestUnfit, detail)
}

/// Whether a character is neither white space nor an old control character; the pattern in the description says the same, whatever `\s` is to its reader.
fn is_seen(character: char) -> bool {
    character > ' ' && !character.is_whitespace()
}

/// A form that a text must have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Challenge,
    Digest,
    Nonce,
    Person,
    Reason,
    Signature,
    Start,
    Text,
    Ticket,
}

impl Form {
    /// Refuses a text that has not this form.
    pub(crate) fn check(self, name: &str, text: &str) -> Result<(), Problem> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let of = |length: usize, fits: fn(u8) -> bool| text.len() == length && text.bytes().all(fits);
        let fits = match self {
            Self::Challenge => of(75, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')),
            Self::Digest => text.len() == 64 && text.bytes().all(is_hex),
            Self::Text => text.chars().count() <= crate::limits::TEXT_CHARS_MAX,
            Self::Nonce => text.len() == 32 && text.bytes().all(is_hex),
            Self::Person => {
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                (1..=63).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-')
            }
            Self::Reason => text.chars().count() <= crate::limits::REASON_CHARS_MAX && text.chars().any(is_seen),
            Self::Signature => {
                let body = text.strip_suffix("==").unwrap_or_default();
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
                body.len() == 86 && body.bytes().all(fits)
            }
            Self::Ticket => text.chars().count() <= crate::limits::TICKET_CHARS_MAX && text.chars().any(is_seen),
            Self::Start => (1..=36).contains(&text.len()) && text.bytes().all(|byte| is_hex(byte) || byte == b'-'),
        };
        if fits { Ok(()) } else { Err(unfit(format!("`{name}` has not the form that it must have"))) }
    }
}
