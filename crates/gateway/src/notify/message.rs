//! What receivers are sent: which approval, who waits for whom, until when, and where to look. Never arguments, reasons or results: a chat is not where those belong.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use evidence::ids::ApprovalId;
use evidence::record::approval::{ApprovalEvent, Gate, Question, Resolution, Review};
use evidence::record::{Body, ExceptionEvent, Record};
use evidence::time::Timestamp;
use governance::approve::People;
use serde::Serialize;
use serde_json::{Value, json};

use super::config::Format;

/// What may be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// An event in the life of an approval.
    Approval(ApprovalEvent),
    /// An exception was opened.
    Exception,
}

impl Event {
    /// Every event.
    pub fn all() -> impl Iterator<Item = Self> {
        ApprovalEvent::ALL.iter().copied().map(Self::Approval).chain([Self::Exception])
    }

    /// Whether people are told where nothing else is said.
    pub(super) const fn is_for_people(self) -> bool {
        !matches!(
            self,
            Self::Exception
                | Self::Approval(ApprovalEvent::Consumed | ApprovalEvent::Delivered | ApprovalEvent::Review)
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approval(event) => write!(f, "approval.{event}"),
            Self::Exception => f.write_str("exception.opened"),
        }
    }
}

impl FromStr for Event {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|event| event.to_string() == text).ok_or_else(|| {
            let known: Vec<String> = Self::all().map(|event| event.to_string()).collect();
            format!("events: `{text}` is none of {}", known.join(", "))
        })
    }
}

/// What a record is about, where it may be told of.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub(super) approval: Option<ApprovalId>,
    pub(super) event: Event,
}

impl Subject {
    /// `None` where nobody is told of such records.
    pub(super) fn of(record: &Record) -> Option<Self> {
        match &record.body {
            Body::Approval(approval) => {
                Some(Self { approval: Some(approval.approval), event: Event::Approval(approval.event) })
            }
            Body::Exception(exception) if exception.event == ExceptionEvent::Opened => {
                Some(Self { approval: None, event: Event::Exception })
            }
            _ => None,
        }
    }
}

/// One message, before it has a form.
#[derive(Clone, Debug)]
pub struct Message {
    /// The approval or exception.
    pub about: String,
    facts: Facts,
    /// What happened, as `approval.requested`.
    pub event: String,
    /// The same whenever the message is sent again.
    pub id: String,
    occurred_at: Timestamp,
}

/// What a message says. Fields that do not apply are left out.
#[derive(Clone, Debug, Default, Serialize)]
struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalId>,
    /// Gates that were not satisfied, and whose glass was broken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broken_glass: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initiator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mission: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<Resolution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    respond_by: Option<Timestamp>,
    /// Who was asked by those gates and was not heard.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<Arc<str>>,
    /// The name of the standing grant that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    standing_grant: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
}

/// The groups that are told of `event`: those that the gates ask, and once that is so, those whom an escalation adds.
pub(super) fn groups_of(gates: &[Gate], event: Event) -> BTreeSet<Arc<str>> {
    let added = gates.iter().flat_map(|gate| &gate.escalate).map(|escalation| &escalation.group);
    let added = added.filter(|_| event == Event::Approval(ApprovalEvent::Escalated));
    gates.iter().flat_map(Gate::asked).chain(added).cloned().collect()
}

/// Whom the gates whose glass was broken ask and who gave no answer, by their names. Whoever must not answer was not skipped.
pub(super) fn skipped(record: &Record, question: &Question, reviews: &[Review], people: &People) -> Vec<Arc<str>> {
    let Body::Approval(approval) = &record.body else { return Vec::new() };
    let broken: BTreeSet<&Arc<str>> = approval.grant.iter().flat_map(|grant| &grant.break_glass).collect();
    let groups = question.gates.iter().filter(|gate| broken.contains(&gate.name)).flat_map(Gate::asked);
    let persons: BTreeSet<&Arc<str>> = groups.filter_map(|group| people.groups().get(group)).flatten().collect();
    let is_heard = |person: &Arc<str>| {
        reviews.iter().any(|review| review.reviewer == *person || review.on_behalf_of.as_ref() == Some(person))
    };
    let is_out = |person: &Arc<str>| question.excluded.iter().any(|excluded| excluded.person == *person);
    let skipped = persons.into_iter().filter(|person| !is_heard(person) && !is_out(person));
    let name = |person: &Arc<str>| people.persons().get(person).and_then(|person| person.name.clone());
    skipped.map(|person| name(person).unwrap_or_else(|| person.clone())).collect()
}

impl Message {
    /// What `record` is told as; `skipped` are those whom broken glass left unheard.
    pub(super) fn new(record: &Record, subject: Subject, question: Option<&Question>, skipped: Vec<Arc<str>>) -> Self {
        let mut facts = Facts { mission: record.correlation.mission.as_deref().map(str::to_owned), ..Facts::default() };
        let mut about = String::new();
        match &record.body {
            Body::Approval(approval) => {
                about = approval.approval.to_string();
                facts.agent = Some(record.agent.name.to_string());
                facts.approval = Some(approval.approval);
                facts.broken_glass = approval.grant.iter().flat_map(|grant| grant.break_glass.clone()).collect();
                facts.initiator = Some(record.initiator.name.to_string());
                facts.resolution = approval.resolution;
                facts.skipped = skipped;
                facts.tool = Some(approval.tool.to_string());
                if let Some(question) = question {
                    facts.groups = groups_of(&question.gates, subject.event).into_iter().collect();
                    facts.respond_by = Some(question.respond_by);
                    facts.standing_grant = question.standing.as_ref().map(|standing| standing.name.clone());
                }
            }
            Body::Exception(exception) => {
                about = exception.exception.to_string();
                facts.due = exception.due;
                facts.exception = Some(about.clone());
                facts.kind = Some(exception.kind.to_string());
            }
            _ => {}
        }
        Self {
            about,
            facts,
            event: subject.event.to_string(),
            id: format!("msg_{}", record.id),
            occurred_at: record.occurred_at,
        }
    }

    /// A message that says that messages arrive.
    #[must_use]
    pub fn trial(id: &str, at: Timestamp) -> Self {
        let about = "test".to_owned();
        Self { about, facts: Facts::default(), event: "test".to_owned(), id: format!("msg_{id}"), occurred_at: at }
    }

    /// The body of the request.
    pub(super) fn body(&self, format: Format, link: Option<&str>) -> String {
        let link =
            link.zip(self.facts.approval).map(|(link, approval)| link.replace("{approval}", &approval.to_string()));
        let body = match format {
            Format::Json => {
                let facts = Facts { link, ..self.facts.clone() };
                json!({ "data": facts, "timestamp": self.occurred_at, "type": self.event })
            }
            Format::Slack => self.slack(link),
            Format::Teams => self.teams(link),
        };
        body.to_string()
    }

    /// An incoming webhook of Slack: plain text for notifications, blocks for the channel. Values are plain text there, so that nothing in them becomes a link.
    fn slack(&self, link: Option<String>) -> Value {
        let plain = |text: String| json!({ "type": "plain_text", "text": text, "emoji": false });
        let mut blocks = vec![json!({ "type": "header", "text": plain(self.headline()) })];
        let fields: Vec<Value> =
            self.lines().into_iter().map(|(name, value)| plain(format!("{name}: {value}"))).collect();
        if !fields.is_empty() {
            blocks.push(json!({ "type": "section", "fields": fields }));
        }
        match link {
            Some(link) => blocks.push(json!({ "type": "actions", "elements":
                [{ "type": "button", "text": plain("Look at it".to_owned()), "url": link }] })),
            None => {
                blocks.extend(self.command().map(|command| json!({ "type": "context", "elements": [plain(command)] })))
            }
        }
        // Slack reads `text` as its own markup.
        let text = self.headline().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({ "text": text, "blocks": blocks })
    }

    /// An incoming webhook of Teams: one adaptive card. Values are text runs, which know no markup.
    fn teams(&self, link: Option<String>) -> Value {
        let run = |text: String, is_bold: bool| json!({ "type": "TextRun", "text": text, "weight": if is_bold { "bolder" } else { "default" } });
        let rich = |inlines: Vec<Value>| json!({ "type": "RichTextBlock", "inlines": inlines });
        let mut body = vec![rich(vec![run(self.headline(), true)])];
        body.extend(
            self.lines().into_iter().map(|(name, value)| rich(vec![run(format!("{name}: "), true), run(value, false)])),
        );
        let actions = match link {
            Some(link) => vec![json!({ "type": "Action.OpenUrl", "title": "Look at it", "url": link })],
            None => {
                body.extend(self.command().map(|command| rich(vec![run(command, false)])));
                Vec::new()
            }
        };
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
            "actions": actions, "body": body,
        });
        json!({ "type": "message", "attachments":
            [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card }] })
    }

    fn headline(&self) -> String {
        let what = self.event.split_once('.').map_or(self.event.as_str(), |(_, event)| event).replace('_', " ");
        match (&self.facts.tool, self.facts.resolution, &self.facts.kind) {
            (Some(tool), Some(_), _) if !self.facts.broken_glass.is_empty() => format!("Glass broken: {tool}"),
            (Some(tool), Some(resolution), _) => format!("{}: {tool}", capital(resolution.as_str())),
            (Some(tool), None, _) if what == "requested" => match &self.facts.standing_grant {
                Some(name) => format!("Standing grant `{name}` wanted: {tool}"),
                None => format!("Approval needed: {tool}"),
            },
            (Some(tool), None, _) => format!("Approval {what}: {tool}"),
            (None, _, Some(kind)) => format!("Exception opened: {}", kind.replace('_', " ")),
            (None, _, None) => "Countersign reaches you here".to_owned(),
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let facts = &self.facts;
        let groups = facts.groups.iter().map(|group| &**group).collect::<Vec<_>>().join(", ");
        let lines = [
            ("Agent", facts.agent.clone().filter(|_| facts.standing_grant.is_none())),
            ("Standing grant", facts.standing_grant.as_deref().map(str::to_owned)),
            ("For", facts.initiator.clone()),
            ("Mission", facts.mission.clone()),
            ("Skipped", Some(self.facts.broken_glass.join(", ")).filter(|gates| !gates.is_empty())),
            ("Not heard", Some(self.facts.skipped.join(", ")).filter(|persons| !persons.is_empty())),
            ("Asks", Some(groups).filter(|groups| !groups.is_empty())),
            ("Answer by", facts.respond_by.map(|at| at.to_string()).filter(|_| self.event == "approval.requested")),
            ("Due", facts.due.map(|at| at.to_string())),
        ];
        lines.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// How to look without a link.
    fn command(&self) -> Option<String> {
        match (&self.facts.approval, &self.facts.exception) {
            (Some(approval), _) => Some(format!("countersign approvals show {approval}")),
            (None, Some(_)) => Some("countersign exceptions list".to_owned()),
            (None, None) => None,
        }
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            about: "a".to_owned(),
            facts: Facts {
                agent: Some("<!channel> & co".to_owned()),
                approval: Some(ApprovalId::at(Timestamp::from_micros(1_764_000_000_000_000), [7; 10])),
                groups: vec!["leads".into()],
                initiator: Some("[click](https://evil.example)".to_owned()),
                mission: Some("payments".to_owned()),
                respond_by: Some(Timestamp::from_micros(1_764_000_000_000_000)),
                tool: Some("mcp:bank/<send>".to_owned()),
                ..Facts::default()
            },
            event: "approval.requested".to_owned(),
            id: "msg_1".to_owned(),
            occurred_at: Timestamp::from_micros(1_764_000_000_000_000),
        }
    }

    #[test]
    fn nothing_in_a_value_becomes_markup() {
        let slack: Value = serde_json::from_str(&message().body(Format::Slack, None)).unwrap();
        assert_eq!(slack["text"], "Approval needed: mcp:bank/&lt;send&gt;");
        let blocks = slack["blocks"].as_array().unwrap();
        let texts = blocks.iter().flat_map(|block| {
            let parts = ["fields", "elements"].into_iter().filter_map(|part| block[part].as_array()).flatten();
            parts.cloned().chain([block["text"].clone()]).collect::<Vec<_>>()
        });
        for text in texts.filter(|text| !text.is_null()) {
            assert_eq!(text["type"], "plain_text", "{text}");
        }
        assert!(slack.to_string().contains("countersign approvals show"), "{slack}");

        let teams: Value = serde_json::from_str(&message().body(Format::Teams, None)).unwrap();
        let card = &teams["attachments"][0]["content"];
        for block in card["body"].as_array().unwrap() {
            assert_eq!(block["type"], "RichTextBlock");
            for run in block["inlines"].as_array().unwrap() {
                assert_eq!(run["type"], "TextRun");
            }
        }
    }

    #[test]
    fn a_link_stands_where_one_is_configured() {
        let link = Some("https://countersign.example/approvals/{approval}");
        let id = message().facts.approval.unwrap().to_string();
        let url = format!("https://countersign.example/approvals/{id}");
        let body = |format| serde_json::from_str::<Value>(&message().body(format, link)).unwrap();
        assert_eq!(body(Format::Json)["data"]["link"], url.as_str());
        assert_eq!(body(Format::Slack)["blocks"][2]["elements"][0]["url"], url.as_str());
        assert_eq!(body(Format::Teams)["attachments"][0]["content"]["actions"][0]["url"], url.as_str());
    }
}
