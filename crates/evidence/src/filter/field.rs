//! The fields of the filter language: their names, what they match and how they are explained. The one place where a field is made; help, documentation, errors,
//! counts and indexes follow from it.

use std::borrow::Cow;

use crate::ids::{ApprovalId, RecordId};
use crate::record::approval::{Answer, ApprovalEvent, ApprovalRecord, Resolution};
use crate::record::{
    ActionEvent, ActionRecord, Body, DecisionRecord, Direction, Effect, EffectClass, ExceptionEvent, ExceptionKind,
    ExceptionRecord, LedgerEvent, Origin, Record, RecordType, Status, Tool, VersionLog,
};

/// Declares the fields in the order in which people read of them.
macro_rules! fields {
    ($($field:ident = $name:literal, $value:literal, $example:literal, $matches:literal;)+) => {
        /// A field of records, as filters name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field { $(#[doc = $matches] $field),+ }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$field),+];

            /// How it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$field => $name),+ }
            }

            /// What stands after the colon.
            #[must_use]
            pub const fn value(self) -> &'static str {
                match self { $(Self::$field => $value),+ }
            }

            /// A term with it.
            #[must_use]
            pub const fn example(self) -> &'static str {
                match self { $(Self::$field => $example),+ }
            }

            /// What it matches.
            #[must_use]
            pub const fn matches(self) -> &'static str {
                match self { $(Self::$field => $matches),+ }
            }
        }
    };
}

fields! {
    Type = "type", "a record type", "type:decision_record", "the type";
    Mission = "mission", "text", "mission:pay-*", "the mission's name";
    Agent = "agent", "text", "agent:ap-bot", "the agent's name";
    Initiator = "initiator", "text", "initiator:ana@corp.example", "the initiator's name";
    Person = "person", "text", "person:eva@corp.example", "anybody who acts in the record: the initiator, who reviewed and for whom, who asked, changed, revoked, opened or wrote, an exception's owner, through whom authority came";
    Tool = "tool", "`surface:upstream/name`", "tool:mcp:bank/*", "the tool of a decision, an action or an approval, as one text";
    Call = "call", "an id, or its start and `*`", "call:01a20631-*", "the call: its whole story";
    Run = "run", "an id, or its start and `*`", "run:01a20631-*", "the run: all that happened in it";
    Session = "session", "an id, or its start and `*`", "session:01a20631-*", "the agent's session: its `request_context` and all that happened under it";
    Decision = "decision", "`allow`, `ask`, `deny`", "decision:deny", "the effect of a decision";
    Would = "would", "`ask`, `deny`", "would:deny,ask", "what a decision would have been, where the mission is only observed";
    Reason = "reason", "a reason code", "reason:argument_*", "any reason of a decision, or the reason of an outcome";
    Origin = "origin", "`mission`, `initiator`, `untrusted`, ...", "origin:untrusted,unknown", "who named any of what the call of a decision acts on";
    Argument = "argument", "a name, or a name with `=`, `<`, `<=`, `>`, `>=` and a value", "argument:amount>1000", "an argument of a call that the rules of a decision saw: its name, or its value, normalised; numbers are compared as numbers, `=` takes `*`";
    Gate = "gate", "text", "gate:payments", "a gate that a decision asks for, or that people are asked for, more of them, or whose glass was broken";
    Version = "version", "a digest, or its start", "version:3fa9", "the version of the mission or organisation that decided; what a change came from or led to";
    Approval = "approval", "an id, or its start and `*`", "approval:01a20631-*", "the approval: what was asked and answered, the decisions about it, the change that it let through";
    Approver = "approver", "text", "approver:eva@corp.example", "who answered, in a review";
    Answer = "answer", "`approve`, `deny`, `ask`, ...", "answer:deny,edit", "what a person answered, in a review";
    Resolution = "resolution", "`approved`, `denied`, ...", "resolution:denied", "what the reviews add up to";
    Event = "event", "`intent`, `outcome`, `requested`, `opened`, ...", "event:consumed", "where in its life: of an action, an approval, an exception, the ledger";
    Status = "status", "`done`, `tool_error`, `unknown`, ...", "status:unknown", "the status of an outcome";
    EffectClass = "effect_class", "`read`, `write`, `send`, `pay`, ...", "effect_class:pay,destroy", "what the tool of an action does to the world";
    Class = "class", "`pii`, `secret`, `pii.email`, ...", "class:pii", "any class of data on the record; a kind is of its class too";
    Kind = "kind", "`unknown_outcome`, `access`, ...", "kind:waiver", "the kind of an exception";
    Exception = "exception", "an id, or its start and `*`", "exception:01a20631-*", "the exception, over all its records";
    Object = "object", "`kind:name`", "object:mission:pay-*", "what a `version_log` is about";
    Direction = "direction", "`wider`, `narrower`, `both`, `unclear`", "direction:wider,both", "which way a version changes what is allowed";
    Text = "text", "words, in quotes if there are several", "\"unknown payee\"", "text anywhere in a sentence of the record, in upper or lower case: rationales, reasons that people gave, mitigations, differences. `text:` may be left out";
    After = "after", "a time", "after:7d", "recorded at that time or later";
    Before = "before", "a time", "before:2026-12", "recorded before that time";
    On = "on", "a day, month or year, or `from..to`", "on:2026-11-01..2026-11-15", "recorded in that time, both ends included";
    Seq = "seq", "`7`, `7..9`, `7..`, `..9`", "seq:100..200", "the record's number, both ends included";
}

impl Field {
    /// The field that is written `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// Every word that it may have, where these are known; any text otherwise.
    #[must_use]
    pub fn words(self) -> Option<Vec<&'static str>> {
        /// The spellings of a closed set.
        fn all<T: Copy>(words: &[T], spell: fn(T) -> &'static str) -> Vec<&'static str> {
            words.iter().map(|word| spell(*word)).collect()
        }
        Some(match self {
            Self::Type => all(RecordType::ALL, RecordType::as_str),
            Self::Decision | Self::Would => all(Effect::ALL, Effect::as_str),
            Self::Origin => all(Origin::ALL, Origin::as_str),
            Self::Answer => all(Answer::ALL, Answer::as_str),
            Self::Resolution => all(Resolution::ALL, Resolution::as_str),
            Self::Event => [
                all(ActionEvent::ALL, ActionEvent::as_str),
                all(ApprovalEvent::ALL, ApprovalEvent::as_str),
                all(ExceptionEvent::ALL, ExceptionEvent::as_str),
                all(LedgerEvent::ALL, LedgerEvent::as_str),
            ]
            .concat(),
            Self::Status => all(Status::ALL, Status::as_str),
            Self::EffectClass => all(EffectClass::ALL, EffectClass::as_str),
            Self::Kind => all(ExceptionKind::ALL, ExceptionKind::as_str),
            Self::Direction => all(Direction::ALL, Direction::as_str),
            _ => return None,
        })
    }

    /// What `record` has in this field; the same text may come twice. A time is its day, `2026-11-23`.
    #[must_use]
    pub fn values(self, record: &Record) -> Vec<Cow<'_, str>> {
        let body = &record.body;
        match self {
            Self::Type => vec![record.record_type.as_str().into()],
            Self::Mission => one(record.correlation.mission.as_deref()),
            Self::Agent => vec![Cow::from(&*record.agent.name)],
            Self::Initiator => vec![Cow::from(&*record.initiator.name)],
            Self::Person => persons(record),
            Self::Tool => tool(body).map(|tool| tool.to_string().into()).into_iter().collect(),
            Self::Call => shown(record.correlation.call),
            Self::Run => shown(record.correlation.run),
            Self::Session => shown(session(record)),
            Self::Decision => of_decision(body, |decision| one(Some(decision.effect.as_str()))),
            Self::Would => of_decision(body, |decision| one(decision.would.map(Effect::as_str))),
            Self::Reason => reasons(body),
            Self::Origin => of_decision(body, |decision| {
                decision.input.provenance.iter().map(|target| target.origin.as_str().into()).collect()
            }),
            Self::Argument => of_decision(body, |decision| {
                let named = decision.input.facets.iter().filter(|facet| !facet.argument.is_empty());
                named.map(|facet| Cow::from(&*facet.argument)).collect()
            }),
            Self::Gate => gates(body),
            Self::Version => versions(body),
            Self::Approval => shown(approval(body)),
            Self::Approver => {
                of_approval(body, |approval| one(approval.review.as_ref().map(|review| &*review.reviewer)))
            }
            Self::Answer => {
                of_approval(body, |approval| one(approval.review.as_ref().map(|review| review.answer.as_str())))
            }
            Self::Resolution => of_approval(body, |approval| one(approval.resolution.map(Resolution::as_str))),
            Self::Event => one(event(body)),
            Self::Status => of_action(body, |action| one(action.status.map(Status::as_str))),
            Self::EffectClass => of_action(body, |action| one(Some(action.effect_class.as_str()))),
            Self::Class => classes(record),
            Self::Kind => of_exception(body, |exception| one(Some(exception.kind.as_str()))),
            Self::Exception => of_exception(body, |exception| shown(Some(exception.exception))),
            Self::Object => {
                of_version(body, |version| vec![format!("{}:{}", version.object.kind, version.object.name).into()])
            }
            Self::Direction => of_version(body, |version| one(version.direction.map(Direction::as_str))),
            Self::Text => sentences(body).into_iter().map(Cow::from).collect(),
            Self::After | Self::Before | Self::On => {
                vec![record.recorded_at.to_string().chars().take(10).collect::<String>().into()]
            }
            Self::Seq => vec![record.seq.to_string().into()],
        }
    }
}

fn one(value: Option<&str>) -> Vec<Cow<'_, str>> {
    value.map(Cow::from).into_iter().collect()
}

fn shown<'a, T: std::fmt::Display>(id: Option<T>) -> Vec<Cow<'a, str>> {
    id.map(|id| id.to_string().into()).into_iter().collect()
}

type Values<'a> = Vec<Cow<'a, str>>;

fn of_action<'a>(body: &'a Body, values: impl FnOnce(&'a ActionRecord) -> Values<'a>) -> Values<'a> {
    if let Body::Action(action) = body { values(action) } else { Vec::new() }
}

fn of_approval<'a>(body: &'a Body, values: impl FnOnce(&'a ApprovalRecord) -> Values<'a>) -> Values<'a> {
    if let Body::Approval(approval) = body { values(approval) } else { Vec::new() }
}

fn of_decision<'a>(body: &'a Body, values: impl FnOnce(&'a DecisionRecord) -> Values<'a>) -> Values<'a> {
    if let Body::Decision(decision) = body { values(decision) } else { Vec::new() }
}

fn of_exception<'a>(body: &'a Body, values: impl FnOnce(&'a ExceptionRecord) -> Values<'a>) -> Values<'a> {
    if let Body::Exception(exception) = body { values(exception) } else { Vec::new() }
}

fn of_version<'a>(body: &'a Body, values: impl FnOnce(&'a VersionLog) -> Values<'a>) -> Values<'a> {
    if let Body::Version(version) = body { values(version) } else { Vec::new() }
}

/// The session: of a `request_context` itself, of any other the one under which it happened.
pub(super) fn session(record: &Record) -> Option<RecordId> {
    match record.record_type {
        RecordType::RequestContext => Some(record.id),
        _ => record.correlation.context,
    }
}

/// The approval that the record is about.
pub(super) fn approval(body: &Body) -> Option<ApprovalId> {
    match body {
        Body::Approval(approval) => Some(approval.approval),
        Body::Decision(decision) => decision.approval,
        Body::Exception(exception) => exception.broken_glass.as_ref().map(|glass| glass.approval),
        Body::Version(version) => version.approval,
        Body::Access(_) | Body::Action(_) | Body::Ledger(_) | Body::Request(_) => None,
    }
}

fn tool(body: &Body) -> Option<&Tool> {
    match body {
        Body::Action(action) => Some(&action.tool),
        Body::Approval(approval) => Some(&approval.tool),
        Body::Decision(decision) => Some(&decision.input.tool),
        Body::Access(_) | Body::Exception(_) | Body::Ledger(_) | Body::Request(_) | Body::Version(_) => None,
    }
}

fn persons(record: &Record) -> Values<'_> {
    let mut persons: Vec<&str> = vec![&record.initiator.name];
    match &record.body {
        Body::Access(access) => persons.push(&access.who),
        Body::Approval(approval) => {
            let review = approval.review.iter();
            persons
                .extend(review.flat_map(|review| [Some(&*review.reviewer), review.on_behalf_of.as_deref()]).flatten());
            persons.extend(approval.who.as_deref());
        }
        Body::Exception(exception) => {
            persons.push(&exception.owner);
            persons.extend(exception.who.as_deref());
        }
        Body::Request(request) => persons.extend(request.delegation.iter().map(String::as_str)),
        Body::Version(version) => persons.push(&version.who),
        Body::Action(_) | Body::Decision(_) | Body::Ledger(_) => {}
    }
    persons.into_iter().map(Cow::from).collect()
}

fn reasons(body: &Body) -> Values<'_> {
    match body {
        Body::Action(action) => one(action.reason.as_deref()),
        Body::Decision(decision) => decision.reasons.iter().map(|reason| Cow::from(&**reason)).collect(),
        Body::Access(_)
        | Body::Approval(_)
        | Body::Exception(_)
        | Body::Ledger(_)
        | Body::Request(_)
        | Body::Version(_) => Vec::new(),
    }
}

fn gates(body: &Body) -> Values<'_> {
    match body {
        Body::Approval(approval) => {
            let asked = approval.question.iter().flat_map(|question| &question.gates).map(|gate| &gate.name);
            let broken = approval.grant.iter().flat_map(|grant| &grant.break_glass);
            asked.chain(&approval.gate).chain(broken).map(|gate| Cow::from(&**gate)).collect()
        }
        Body::Decision(decision) => decision.gates.iter().map(|gate| Cow::from(&**gate)).collect(),
        Body::Access(_)
        | Body::Action(_)
        | Body::Exception(_)
        | Body::Ledger(_)
        | Body::Request(_)
        | Body::Version(_) => Vec::new(),
    }
}

fn versions(body: &Body) -> Values<'_> {
    let (first, second) = match body {
        Body::Decision(decision) => {
            (Some(&decision.policy.mission_sha256), decision.policy.organisation_sha256.as_ref())
        }
        Body::Version(version) => (Some(&version.to), version.from.as_ref()),
        Body::Access(_)
        | Body::Action(_)
        | Body::Approval(_)
        | Body::Exception(_)
        | Body::Ledger(_)
        | Body::Request(_) => (None, None),
    };
    [first, second].into_iter().flatten().map(|digest| Cow::from(&**digest)).collect()
}

const fn event(body: &Body) -> Option<&'static str> {
    match body {
        Body::Action(action) => Some(action.event.as_str()),
        Body::Approval(approval) => Some(approval.event.as_str()),
        Body::Exception(exception) => Some(exception.event.as_str()),
        Body::Ledger(ledger) => Some(ledger.event.as_str()),
        Body::Access(_) | Body::Decision(_) | Body::Request(_) | Body::Version(_) => None,
    }
}

fn classes(record: &Record) -> Values<'_> {
    let labels = || record.data_classes.iter().map(|label| &**label);
    let of_kinds = labels().filter_map(|label| Some(label.split_once('.')?.0));
    labels().chain(of_kinds).map(Cow::from).collect()
}

/// What the record says in words of people or for people.
fn sentences(body: &Body) -> Vec<&str> {
    match body {
        Body::Access(access) => vec![&access.why],
        Body::Action(action) => action.reported.iter().filter_map(|reported| reported.note.as_deref()).collect(),
        Body::Approval(approval) => {
            let asked = approval.question.iter().map(|question| question.sentence.as_str());
            let answered = approval.review.iter().map(|review| review.reason.as_str());
            asked.chain(answered).chain(approval.why.as_deref()).collect()
        }
        Body::Decision(decision) => vec![&decision.sentence],
        Body::Exception(exception) => {
            let more = [exception.mitigation.as_deref(), exception.note.as_deref()];
            std::iter::once(exception.reason.as_str()).chain(more.into_iter().flatten()).collect()
        }
        Body::Ledger(ledger) => vec![&ledger.detail],
        Body::Request(request) => request.purpose.iter().map(|purpose| purpose.text.as_str()).collect(),
        Body::Version(version) => {
            std::iter::once(version.why.as_str()).chain(version.difference.iter().map(String::as_str)).collect()
        }
    }
}
