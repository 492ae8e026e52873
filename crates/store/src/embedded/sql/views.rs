//! The views that statements read: which columns they have, and what these are of a record.
//!
//! Columns are only ever added, at the end. Times are texts that sort as they are (`2026-11-23T09:30:00.000000Z`), lists are joined by commas, what a record does not have is NULL.

use std::fmt::Display;

use evidence::record::{Body, Look, Record, RecordType};
use rusqlite::types::Value;

/// One view over records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Every record, with what all have.
    Records,
    /// Decisions.
    Decisions,
    /// Intents and outcomes.
    Actions,
    /// What happened to approvals, but for the answers of people.
    Approvals,
    /// The answers of people.
    Reviews,
    /// Exceptions.
    Exceptions,
    /// Changes.
    Versions,
    /// Sessions.
    Requests,
    /// Openings of content.
    Accesses,
}

/// What every view begins with.
const HEAD: [&str; 11] =
    ["seq", "id", "at", "occurred_at", "mission", "run", "call", "session", "agent", "initiator", "classes"];

impl View {
    /// Every view.
    pub const ALL: [Self; 9] = [
        Self::Records,
        Self::Decisions,
        Self::Actions,
        Self::Approvals,
        Self::Reviews,
        Self::Exceptions,
        Self::Versions,
        Self::Requests,
        Self::Accesses,
    ];

    /// How statements name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Decisions => "decisions",
            Self::Actions => "actions",
            Self::Approvals => "approvals",
            Self::Reviews => "reviews",
            Self::Exceptions => "exceptions",
            Self::Versions => "versions",
            Self::Requests => "requests",
            Self::Accesses => "accesses",
        }
    }

    /// The columns that it has beside those of all views.
    #[must_use]
    pub const fn own_columns(self) -> &'static [&'static str] {
        match self {
            Self::Records => &["type", "emitter", "agent_version", "authenticated", "trace"],
            Self::Decisions => &[
                "tool",
                "point",
                "effect",
                "would",
                "reasons",
                "sentence",
                "gates",
                "approval",
                "rules",
                "version",
                "args_sha256",
                "args_bytes",
            ],
            Self::Actions => &[
                "tool",
                "event",
                "attempt",
                "effect_class",
                "status",
                "reason",
                "duration_us",
                "args_sha256",
                "result_sha256",
                "result_bytes",
                "external_reference",
            ],
            Self::Approvals => &[
                "approval",
                "tool",
                "event",
                "gates",
                "sentence",
                "respond_by",
                "resolution",
                "who",
                "why",
                "good_until",
                "uses",
                "use_number",
            ],
            Self::Reviews => &[
                "approval",
                "tool",
                "reviewer",
                "on_behalf_of",
                "answer",
                "reason",
                "groups",
                "assurance",
                "channel",
                "signed_at",
                "is_signed",
                "ticket",
            ],
            Self::Exceptions => {
                &["exception", "kind", "event", "scope", "owner", "who", "reason", "mitigation", "note", "due"]
            }
            Self::Versions => {
                &["kind", "name", "from_version", "to_version", "direction", "difference", "who", "why", "approval"]
            }
            Self::Requests => &[
                "authenticated",
                "surface",
                "upstream",
                "transport",
                "client",
                "client_version",
                "protocol",
                "delegation",
                "purpose",
            ],
            Self::Accesses => &["who", "why", "channel", "content", "filter", "look"],
        }
    }

    /// All columns, in order.
    pub fn columns(self) -> impl Iterator<Item = &'static str> {
        HEAD.into_iter().chain(self.own_columns().iter().copied())
    }

    /// The types of the records that it shows.
    pub(super) const fn types(self) -> &'static [RecordType] {
        match self {
            Self::Records => RecordType::ALL,
            Self::Decisions => &[RecordType::DecisionRecord],
            Self::Actions => &[RecordType::ActionRecord],
            Self::Approvals | Self::Reviews => &[RecordType::ApprovalRecord],
            Self::Exceptions => &[RecordType::ExceptionRecord],
            Self::Versions => &[RecordType::VersionLog],
            Self::Requests => &[RecordType::RequestContext],
            Self::Accesses => &[RecordType::EvidenceAccess],
        }
    }

    /// The statement that makes its table.
    pub(super) fn table(self) -> String {
        let columns: Vec<String> = self.columns().map(|column| format!("\"{column}\"")).collect();
        format!("CREATE TABLE {} ({})", self.name(), columns.join(", "))
    }

    /// The statement that adds a row.
    pub(super) fn insert(self) -> String {
        let places: Vec<&str> = self.columns().map(|_| "?").collect();
        format!("INSERT INTO {} VALUES ({})", self.name(), places.join(", "))
    }

    /// What it shows of a record; nothing of others.
    pub(super) fn row(self, record: &Record) -> Option<Vec<Value>> {
        let own = self.own(record)?;
        let correlation = &record.correlation;
        let session = match record.record_type {
            RecordType::RequestContext => Some(record.id),
            _ => correlation.context,
        };
        let mut row = vec![
            number(record.seq),
            text(record.id),
            text(record.recorded_at),
            text(record.occurred_at),
            maybe(correlation.mission.as_ref()),
            maybe(correlation.run),
            maybe(correlation.call),
            maybe(session),
            text(&record.agent.name),
            text(&record.initiator.name),
            list(&record.data_classes),
        ];
        row.extend(own);
        Some(row)
    }

    fn own(self, record: &Record) -> Option<Vec<Value>> {
        Some(match (self, &record.body) {
            (Self::Records, _) => vec![
                text(record.record_type),
                text(&record.emitter),
                maybe(record.agent.version.as_ref()),
                word(record.initiator.authenticated),
                maybe(record.correlation.trace.as_ref()),
            ],
            (Self::Decisions, Body::Decision(decision)) => {
                let rules: Vec<_> = decision.rules.iter().map(|rule| &rule.id).collect();
                vec![
                    text(&decision.input.tool),
                    text(decision.point),
                    text(decision.effect),
                    maybe(decision.would),
                    list(&decision.reasons),
                    text(&decision.sentence),
                    list(&decision.gates),
                    maybe(decision.approval),
                    list(&rules),
                    text(&decision.policy.mission_sha256),
                    text(&decision.input.args_sha256),
                    number(decision.input.args_bytes),
                ]
            }
            (Self::Actions, Body::Action(action)) => vec![
                text(&action.tool),
                text(action.event),
                number(action.attempt.into()),
                text(action.effect_class),
                maybe(action.status),
                maybe(action.reason.as_ref()),
                action.duration_us.map_or(Value::Null, number),
                text(&action.args_sha256),
                maybe(action.result_sha256.as_ref()),
                action.result_bytes.map_or(Value::Null, number),
                maybe(action.external_reference.as_ref()),
            ],
            (Self::Approvals, Body::Approval(approval)) if approval.review.is_none() => {
                let question = approval.question.as_ref();
                let asked = question.map(|question| question.gates.iter().map(|gate| &gate.name).collect::<Vec<_>>());
                let gates = asked.unwrap_or_else(|| approval.gate.iter().collect());
                let grant = approval.grant.as_ref();
                vec![
                    text(approval.approval),
                    text(&approval.tool),
                    text(approval.event),
                    list(&gates),
                    maybe(question.map(|question| &question.sentence)),
                    maybe(question.map(|question| question.respond_by)),
                    maybe(approval.resolution),
                    maybe(approval.who.as_ref()),
                    maybe(approval.why.as_ref()),
                    maybe(grant.map(|grant| grant.not_after)),
                    grant.map_or(Value::Null, |grant| number(grant.uses.into())),
                    approval.used.map_or(Value::Null, |used| number(used.into())),
                ]
            }
            (Self::Reviews, Body::Approval(approval)) => {
                let review = approval.review.as_ref()?;
                vec![
                    text(approval.approval),
                    text(&approval.tool),
                    text(&review.reviewer),
                    maybe(review.on_behalf_of.as_ref()),
                    text(review.answer),
                    text(&review.reason),
                    list(&review.groups),
                    text(review.assurance),
                    text(&review.channel),
                    text(review.signed_at),
                    number(review.signature.is_some().into()),
                    maybe(review.ticket.as_ref()),
                ]
            }
            (Self::Exceptions, Body::Exception(exception)) => vec![
                text(exception.exception),
                text(exception.kind),
                text(exception.event),
                text(&exception.scope),
                text(&exception.owner),
                maybe(exception.who.as_ref()),
                text(&exception.reason),
                maybe(exception.mitigation.as_ref()),
                maybe(exception.note.as_ref()),
                maybe(exception.due),
            ],
            (Self::Versions, Body::Version(version)) => vec![
                text(version.object.kind),
                text(&version.object.name),
                maybe(version.from.as_ref()),
                text(&version.to),
                maybe(version.direction),
                text(version.difference.join("\n")),
                text(&version.who),
                text(&version.why),
                maybe(version.approval),
            ],
            (Self::Requests, Body::Request(request)) => {
                let channel = &request.channel;
                vec![
                    word(request.authenticated),
                    text(channel.surface),
                    text(&channel.upstream),
                    text(&channel.transport),
                    maybe(channel.client.as_ref().map(|client| &client.name)),
                    maybe(channel.client.as_ref().map(|client| &client.version)),
                    maybe(channel.protocol.as_ref()),
                    list(&request.delegation),
                    maybe(request.purpose.as_ref().map(|purpose| &purpose.text)),
                ]
            }
            (Self::Accesses, Body::Access(access)) => {
                let opened: Vec<&str> = record.links.iter().map(|link| link.rel.as_str()).collect();
                let look = access.look.map(Look::as_str);
                vec![
                    text(&access.who),
                    text(&access.why),
                    text(&access.channel),
                    list(&opened),
                    maybe(access.filter.as_deref()),
                    maybe(look),
                ]
            }
            _ => return None,
        })
    }
}

/// Numbers of records stay below 2^53.
fn number(number: u64) -> Value {
    Value::Integer(number.cast_signed())
}

fn text(value: impl Display) -> Value {
    Value::Text(value.to_string())
}

fn maybe(value: Option<impl Display>) -> Value {
    value.map_or(Value::Null, text)
}

fn list<T: Display>(values: &[T]) -> Value {
    text(values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

/// A word as records spell it.
fn word(value: impl serde::Serialize) -> Value {
    maybe(serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)))
}
