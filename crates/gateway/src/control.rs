//! What commands ask of a gateway, and what it answers: the same whether it runs already or is opened for the question.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use evidence::ids::{ApprovalId, CallId, ExceptionId, RunId};
use evidence::record::{Content, EffectClass, Look};
use evidence::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approvals::{AskError, Channel, Counted, Page, ReviewError, Reviewed, Wanted as WantedApprovals};
use crate::attachments::{Attach, AttachError};
use crate::changes::Waits;
use crate::content::{OpenContentError, Opened, Wanted as WantedContent};
use crate::cosigning::CosigningView;
use crate::exceptions::{Deed, DeedError};
use crate::export::ExportError;
use crate::halts::{Scope, Switch};
use crate::keys::{Confirmation, Enrolment, KeyError, PersonKey};
use crate::missions::{LoadError, RevokeError, Taken, Tried};
use crate::pins::{Pin, PinError};
use crate::rotation::RotateError;
use crate::runs::{Run, RunError, Standing, Wanted, Which};
use crate::{Gateway, Readiness, clock};

/// The first line on the local socket, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Take a mission file up.
    ApplyMission {
        /// The file, absolute.
        file: PathBuf,
        /// Whether for good.
        tried: Tried,
    },
    /// List approvals, a page at a time.
    Approvals(WantedApprovals),
    /// Link a file to a record.
    Attach(Box<Attach>),
    /// Bridge an agent's client to a stdio upstream; its messages follow on the same connection.
    Bridge(Box<Bridge>),
    /// End or revoke a run.
    CloseRun {
        /// Which.
        run: RunId,
        /// `ended` or `revoked`.
        to: Standing,
        /// Why.
        why: String,
    },
    /// Confirm a person's key.
    ConfirmKey(Box<Confirmation>),
    /// Confirm what a tool of an accepted definition does.
    ConfirmTool {
        /// What it does.
        effect: EffectClass,
        /// Which, as `mcp:bank/send_money`.
        tool: String,
        /// Why.
        why: String,
    },
    /// Take up a person's key.
    EnrolKey(Box<Enrolment>),
    /// Do something about an exception.
    Exception(Box<Deed>),
    /// Invite a person to enrol a key.
    InvitePerson {
        /// Whom.
        person: String,
    },
    /// Record that records are exported.
    Export {
        /// Which, as a filter; empty for all.
        filter: String,
        /// Why.
        why: String,
    },
    /// Record that records are looked at.
    Look {
        /// Which, as a filter; empty for all.
        filter: String,
        /// How.
        look: Look,
        /// Why.
        why: String,
    },
    /// Open what is kept of the content of a call.
    OpenContent {
        /// One attempt alone.
        attempt: Option<u32>,
        /// Which.
        call: CallId,
        /// One content alone.
        only: Option<Content>,
        /// Why.
        why: String,
    },
    /// List persons, groups and keys.
    People,
    /// Accept what the server of a tool lists.
    PinTool {
        /// Which.
        tool: String,
        /// Why.
        why: String,
    },
    /// List the tools that were seen.
    Pins,
    /// The key that will sign the log next.
    NextLogKey,
    /// Ask people for a standing grant.
    GrantStanding {
        /// Its text.
        text: String,
    },
    /// Take back a question, or give back what was granted.
    ReleaseApproval {
        /// Which.
        approval: ApprovalId,
        /// Why.
        why: String,
    },
    /// Answer what an approval asks.
    Review(Box<Reviewed>),
    /// Take back what an approval grants.
    RevokeApproval {
        /// Which.
        approval: ApprovalId,
        /// Why.
        why: String,
    },
    /// Revoke a person's key.
    RevokeKey {
        /// Which.
        key: String,
        /// Whose.
        person: String,
        /// Why.
        why: String,
    },
    /// Withdraw a mission's authority.
    RevokeMission {
        /// Which.
        mission: String,
        /// Why.
        why: String,
    },
    /// Have another key sign the log.
    RotateLogKey {
        /// Why.
        why: String,
    },
    /// List runs.
    Runs,
    /// Begin a run that is reached with a token.
    StartRun {
        /// Load the mission from this file first.
        mission_file: Option<PathBuf>,
        /// What is wanted.
        wanted: Wanted,
    },
    /// Say how the gateway is.
    Status,
    /// Stop or resume.
    Switch {
        /// What.
        scope: Scope,
        /// Which way.
        switch: Switch,
        /// Why.
        why: String,
    },
}

/// What a bridge needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// The agent; the mission's first without one.
    pub agent: Option<String>,
    /// The upstream's program and arguments.
    pub command: Vec<String>,
    /// Where the upstream runs.
    pub cwd: PathBuf,
    /// The upstream's environment.
    pub env: Vec<(String, String)>,
    /// On whose behalf; the connected user without one.
    pub initiator: Option<String>,
    /// The mission file, absolute.
    pub mission: PathBuf,
    /// The upstream's name in the mission; its only one without.
    pub server: Option<String>,
    /// Which run.
    pub which: Which,
    /// What the initiator asked for.
    pub words: Option<String>,
}

/// The answer, one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A page of approvals.
    Approvals(Page),
    /// The file is linked; its digest.
    Attached(String),
    /// The bridge stands; messages follow.
    Bridged {
        /// The run it belongs to.
        run: RunId,
    },
    /// It is done.
    Done,
    /// The answer counts, and what it led to.
    Counted(Counted),
    /// The key is taken up; its id.
    Enrolled(String),
    /// It is done, about this exception.
    Excepted(ExceptionId),
    /// The one-time code.
    Invited(String),
    /// What is kept of the content of a call.
    Content(Vec<Opened>),
    /// The export, or the look, is recorded; the number of the record.
    Exported(u64),
    /// A key of the log, a `vkey` line.
    LogKey(String),
    /// The persons, groups and keys.
    People(PeopleView),
    /// The tools that were seen, and how each stands.
    Pins(BTreeMap<String, Pin>),
    /// What was asked or granted is not any more; what it is now.
    Released(String),
    /// It is not done.
    Refused(Refused),
    /// The runs.
    Runs(Vec<RunView>),
    /// What a mission file changes.
    Taken(Taken),
    /// People are asked.
    Waits(Waits),
    /// The run began.
    Started {
        /// The run.
        run: RunId,
        /// Its token, told once.
        token: String,
    },
    /// How the gateway is.
    Status(Status),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Who must act.
    pub blame: Blame,
    /// What is wrong and how to mend it.
    pub text: String,
}

/// Who must act on a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The one who asked: the question itself is wrong.
    Asker,
    /// Nobody: the answer is no.
    Nobody,
    /// The operator: something failed.
    Operator,
}

/// One run, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunView {
    /// Who acts.
    pub agent: String,
    /// The classes and kinds of data that it has met, sorted; `*` where that may be any.
    pub classes: Vec<Arc<str>>,
    /// From when on nothing runs.
    pub expires_at: Timestamp,
    /// On whose behalf.
    pub initiator: String,
    /// The mission.
    pub mission: String,
    /// When it began.
    pub opened_at: Timestamp,
    /// Which.
    pub run: RunId,
    /// How it stands.
    pub standing: Standing,
}

/// Persons, groups and keys, for people.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleView {
    /// Groups with their members.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Keys and invitations, by `PERSON/KEY`.
    pub keys: BTreeMap<String, PersonKey>,
    /// Persons, with how each is called.
    pub persons: BTreeMap<String, Option<String>>,
}

/// How a gateway is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// How the witnesses of the log stand; absent where none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosigning: Option<CosigningView>,
    /// What is halted, with the reasons.
    pub halts: Vec<(String, String)>,
    /// Records that the index has not taken up.
    pub index_lag: u64,
    /// The loaded missions.
    pub missions: Vec<String>,
    /// The process.
    pub pid: u32,
    /// `ready`, or why not.
    pub readiness: String,
    /// Open runs.
    pub runs: usize,
    /// The program's version.
    pub version: String,
}

impl RunView {
    /// What people see of `run`, which has met `classes`.
    #[must_use]
    pub fn of(run: &Run, classes: Vec<Arc<str>>) -> Self {
        let terms = &run.terms;
        Self {
            agent: terms.agent.name.to_string(),
            classes,
            expires_at: terms.expires_at,
            initiator: terms.initiator.name.to_string(),
            mission: terms.mission.to_string(),
            opened_at: terms.opened_at,
            run: run.id,
            standing: run.standing(clock::now()),
        }
    }
}

impl Answer {
    /// A refusal.
    #[must_use]
    pub fn refused(blame: Blame, text: impl ToString) -> Self {
        Self::Refused(Refused { blame, text: text.to_string() })
    }
}

impl From<RunError> for Answer {
    fn from(error: RunError) -> Self {
        let blame = match &error {
            RunError::Agent { .. }
            | RunError::Closed { .. }
            | RunError::Full
            | RunError::Other(_)
            | RunError::Revoked(_) => Blame::Nobody,
            RunError::Mission(_) | RunError::Unfit(_) | RunError::Unknown(_) => Blame::Asker,
            RunError::Unrecorded(_) => Blame::Operator,
        };
        Self::refused(blame, error)
    }
}

impl From<ExportError> for Answer {
    fn from(error: ExportError) -> Self {
        let blame = match &error {
            ExportError::Filter(_) | ExportError::Joined(_) | ExportError::Unfit => Blame::Asker,
            ExportError::Unrecorded(_) => Blame::Operator,
        };
        Self::refused(blame, error)
    }
}

impl From<ReviewError> for Answer {
    fn from(error: ReviewError) -> Self {
        let blame = match &error {
            ReviewError::Read(_) | ReviewError::Sealed(_) | ReviewError::Unrecorded(_) => Blame::Operator,
            ReviewError::Edit(_) | ReviewError::Proposal | ReviewError::Unfit => Blame::Asker,
            ReviewError::Glass(_)
            | ReviewError::Illegal(_)
            | ReviewError::Key(_)
            | ReviewError::Nobody(_)
            | ReviewError::NotYours(_)
            | ReviewError::Signature
            | ReviewError::Unknown(_)
            | ReviewError::Who(_) => Blame::Nobody,
        };
        Self::refused(blame, error)
    }
}

impl From<OpenContentError> for Answer {
    fn from(error: OpenContentError) -> Self {
        let blame = match &error {
            OpenContentError::Lost { .. }
            | OpenContentError::Read(_)
            | OpenContentError::Sealed(_)
            | OpenContentError::Unrecorded(_) => Blame::Operator,
            OpenContentError::NotKept(_) | OpenContentError::NotRun(_) => Blame::Nobody,
            OpenContentError::TooMuch | OpenContentError::Unfit => Blame::Asker,
        };
        Self::refused(blame, error)
    }
}

impl From<AskError> for Answer {
    fn from(error: AskError) -> Self {
        let blame = match &error {
            AskError::Sealed(_) | AskError::Unrecorded(_) => Blame::Operator,
            AskError::Mission(_) | AskError::Standing(_) => Blame::Asker,
            AskError::Nobody(_) | AskError::TooMany => Blame::Nobody,
        };
        Self::refused(blame, error)
    }
}

impl From<KeyError> for Answer {
    fn from(error: KeyError) -> Self {
        let blame = match &error {
            KeyError::Unrecorded(_) => Blame::Operator,
            KeyError::Change(error) if error.is_failure() => Blame::Operator,
            _ => Blame::Nobody,
        };
        Self::refused(blame, error)
    }
}

impl From<RotateError> for Answer {
    fn from(error: RotateError) -> Self {
        let blame = match &error {
            RotateError::Key(_) | RotateError::Unfinished { .. } | RotateError::Unrecorded(_) => Blame::Operator,
            RotateError::Unfit => Blame::Asker,
        };
        Self::refused(blame, error)
    }
}

fn done(pinned: Result<(), PinError>) -> Answer {
    match pinned {
        Ok(()) => Answer::Done,
        Err(error @ PinError::Unrecorded(_)) => Answer::refused(Blame::Operator, error),
        Err(PinError::Change(error)) if error.is_failure() => Answer::refused(Blame::Operator, error),
        Err(
            error @ (PinError::Change(_)
            | PinError::Same(_)
            | PinError::Server(_)
            | PinError::Unknown(_)
            | PinError::Unpinned(_)),
        ) => Answer::refused(Blame::Nobody, error),
    }
}

impl Gateway {
    /// Answers `ask`, put by the user `who`. A bridge is not a question: the socket takes it.
    pub async fn answer(self: &Arc<Self>, ask: Ask, who: &str) -> Answer {
        self.look_at_organisation(who).await;
        self.take_up_changes().await;
        match ask {
            Ask::ApplyMission { file, tried } => match self.apply_mission(&file, who, tried).await {
                Ok(taken) => Answer::Taken(taken),
                Err(error @ (LoadError::Keep { .. } | LoadError::Unrecorded(_))) => {
                    Answer::refused(Blame::Operator, error)
                }
                Err(LoadError::Change { source, .. }) if source.is_failure() => {
                    Answer::refused(Blame::Operator, source)
                }
                Err(error @ LoadError::Read { .. }) => Answer::refused(Blame::Asker, error),
                Err(error) => Answer::refused(Blame::Nobody, error.to_string().trim_end()),
            },
            Ask::Approvals(wanted) => Answer::Approvals(self.approvals(&wanted)),
            Ask::Attach(attach) => match self.attach(*attach, who).await {
                Ok(sha256) => Answer::Attached(sha256),
                Err(error @ (AttachError::File { .. } | AttachError::Unfit)) => Answer::refused(Blame::Asker, error),
                Err(error @ AttachError::NoRecord(_)) => Answer::refused(Blame::Nobody, error),
                Err(error) => Answer::refused(Blame::Operator, error),
            },
            Ask::Bridge(_) => Answer::refused(Blame::Asker, "a bridge needs the gateway's socket"),
            Ask::CloseRun { to: to @ (Standing::Open | Standing::Expired), .. } => {
                Answer::refused(Blame::Asker, format!("a run cannot be made {}", to.as_str()))
            }
            Ask::CloseRun { run, to, why } => {
                self.close_run(run, to, who, &why).await.map_or_else(Answer::from, |()| Answer::Done)
            }
            Ask::ConfirmKey(confirmation) => {
                self.confirm_key(*confirmation, who).await.map_or_else(Answer::from, |()| Answer::Done)
            }
            Ask::ConfirmTool { effect, tool, why } => done(self.confirm(&tool, effect, who, &why).await),
            Ask::EnrolKey(enrolment) => self.enrol(*enrolment, who).await.map_or_else(Answer::from, Answer::Enrolled),
            Ask::Exception(deed) => match self.exception(*deed, who).await {
                Ok(exception) => Answer::Excepted(exception),
                Err(
                    error @ (DeedError::Illegal(_)
                    | DeedError::Key(_)
                    | DeedError::Signature
                    | DeedError::Unfit
                    | DeedError::Who(_)),
                ) => Answer::refused(Blame::Nobody, error),
                Err(error @ (DeedError::Read(_) | DeedError::Unrecorded(_))) => Answer::refused(Blame::Operator, error),
            },
            Ask::Export { filter, why } => {
                let recorded = self.record_export(&filter, who, &why, Channel::Cli).await;
                recorded.map_or_else(Answer::from, Answer::Exported)
            }
            Ask::Look { filter, look, why } => {
                let recorded = self.record_look(&filter, look, who, &why, Channel::Cli).await;
                recorded.map_or_else(Answer::from, Answer::Exported)
            }
            Ask::InvitePerson { person } => self.invite(&person, who).await.map_or_else(Answer::from, Answer::Invited),
            Ask::OpenContent { attempt, call, only, why } => {
                let wanted = WantedContent { attempt, call, only };
                let opened = self.open_content(wanted, who, &why, Channel::Cli).await;
                opened.map_or_else(Answer::from, Answer::Content)
            }
            Ask::People => {
                self.load_people(who).await;
                Answer::People(self.people_view())
            }
            Ask::PinTool { tool, why } => done(self.pin(&tool, who, &why).await),
            Ask::Pins => Answer::Pins(self.pins.list()),
            Ask::Review(reviewed) => {
                self.review(*reviewed, who, Channel::Cli).await.map_or_else(Answer::from, Answer::Counted)
            }
            Ask::GrantStanding { text } => {
                self.ask_standing(&text, who, Channel::Cli).await.map_or_else(Answer::from, Answer::Waits)
            }
            Ask::ReleaseApproval { approval, why } => self
                .release_approval(approval, who, &why, Channel::Cli)
                .await
                .map_or_else(Answer::from, |is| Answer::Released(is.as_str().to_owned())),
            Ask::RevokeApproval { approval, why } => {
                self.revoke_approval(approval, who, &why).await.map_or_else(Answer::from, |()| Answer::Done)
            }
            Ask::RevokeKey { key, person, why } => {
                self.revoke_key(&person, &key, who, &why).await.map_or_else(Answer::from, |()| Answer::Done)
            }
            Ask::RevokeMission { mission, why } => match self.revoke_mission(&mission, who, &why).await {
                Ok(()) => Answer::Done,
                Err(error @ RevokeError::Unrecorded(_)) => Answer::refused(Blame::Operator, error),
                Err(error) => Answer::refused(Blame::Nobody, error),
            },
            Ask::NextLogKey => self.next_log_key().map_or_else(Answer::from, |key| Answer::LogKey(key.to_string())),
            Ask::RotateLogKey { why } => {
                self.rotate_log_key(who, &why).await.map_or_else(Answer::from, |key| Answer::LogKey(key.to_string()))
            }
            Ask::Runs => {
                let mut views = Vec::new();
                for run in self.list_runs() {
                    views.push(RunView::of(&run, self.all_met(run.id).await));
                }
                Answer::Runs(views)
            }
            Ask::StartRun { mission_file, wanted } => self.answer_start(mission_file, wanted, who).await,
            Ask::Status => Answer::Status(self.status()),
            Ask::Switch { scope, switch, why } => match self.switch(scope, switch, who, &why).await {
                Ok(()) => Answer::Done,
                Err(error) => Answer::refused(Blame::Operator, error),
            },
        }
    }

    async fn answer_start(&self, mission_file: Option<PathBuf>, mut wanted: Wanted, who: &str) -> Answer {
        // A mission that was accepted before and is not loaded (no gateway runs, most likely) is taken as the home keeps it.
        if let Some(path) = mission_file.or_else(|| self.kept_mission(&wanted.mission)) {
            match self.load_mission(&path, who).await {
                Ok((mission, _)) => wanted.mission = mission.name().to_string(),
                Err(error) => return Answer::refused(Blame::Nobody, error),
            }
        }
        match self.start_run(&wanted, who).await {
            Ok((run, token)) => Answer::Started { run: run.id, token },
            Err(error) => error.into(),
        }
    }

    fn people_view(&self) -> PeopleView {
        let mut view = PeopleView { keys: self.keys.list(), ..PeopleView::default() };
        let Some(people) = self.people.in_force() else { return view };
        let named =
            people.persons().iter().map(|(id, person)| (id.to_string(), person.name.as_ref().map(ToString::to_string)));
        view.persons = named.collect();
        let groups = people
            .groups()
            .iter()
            .map(|(group, members)| (group.to_string(), members.iter().map(ToString::to_string).collect()));
        view.groups = groups.collect();
        view
    }

    fn status(&self) -> Status {
        Status {
            cosigning: self.cosigning.view(),
            halts: self.halts.list(),
            index_lag: self.ledger.lag().records(),
            missions: self.missions.names(),
            pid: std::process::id(),
            readiness: match self.readiness() {
                Readiness::Degraded(why) => why,
                Readiness::Ready => "ready".to_owned(),
                Readiness::Stopping => "stopping".to_owned(),
            },
            runs: self.list_runs().len(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
