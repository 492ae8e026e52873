//! What happened to one call, in one run, of one approval: one event after the other, with who, what, why and how long it took. A hundred columns; colours only in a
//! terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use evidence::record::approval::{ApprovalEvent, ApprovalRecord, Gate, Review};
use evidence::record::{
    ActionEvent, ActionRecord, Body, DecisionPoint, DecisionRecord, Effect, ExceptionRecord, Record, RequestContext,
    Status, VersionLog,
};
use evidence::time::Timestamp;

use super::shown;

/// Where lines are broken.
const WIDTH: usize = 100;

/// Where what happened begins, after the time, what passed and the verb.
const INDENT: usize = 38;

/// What is kept of a digest.
const DIGEST: usize = 12;

/// Calls that are named before their story.
const SHARED_MAX: usize = 2;

/// How an event is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Good,
    Bad,
    Open,
    Plain,
}

/// One record, as people read it.
struct Event {
    tone: Tone,
    verb: String,
    /// Who did it, where that is not the gateway.
    who: Option<String>,
    text: String,
    /// More of it, a line each.
    more: Vec<String>,
}

pub(super) fn print(records: &[Record]) {
    let is_plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|no| !no.is_empty());
    print!("{}", story(records, if is_plain { Paint::None } else { Paint::Colours }));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paint {
    Colours,
    None,
}

impl Paint {
    fn verb(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "1;32",
            Tone::Bad => "1;31",
            Tone::Open => "1;33",
            Tone::Plain => "1",
        };
        self.with(code, text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Colours => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::None => text.to_owned(),
        }
    }
}

fn story(records: &[Record], paint: Paint) -> String {
    let mut out = String::new();
    let heads = head(records);
    for (name, value) in &heads {
        let _never = writeln!(out, "{} {}", paint.dim(&format!("{name:<10}")), shown(value));
    }
    let one_tool = heads.iter().any(|(name, _)| *name == "tool");
    let mut before: Option<&Record> = None;
    for record in records {
        let at = record.occurred_at.to_string();
        let (day, time) = (at.get(..10).unwrap_or_default(), at.get(11..23).unwrap_or_default());
        if before.is_none_or(|before| before.occurred_at.to_string().get(..10) != Some(day)) {
            let _never = writeln!(out, "\n{}", paint.dim(&format!("{day} UTC")));
        }
        let passed = before.map(|before| passed(before.occurred_at, record.occurred_at)).unwrap_or_default();
        let mut event = event(record);
        if !one_tool && let Some(tool) = tool(record) {
            event.text = format!("{tool}: {}", event.text);
        }
        write(&mut out, paint, &format!("{time} {passed:>10}"), &event);
        before = Some(record);
    }
    out
}

/// What all records share.
fn head(records: &[Record]) -> Vec<(&'static str, String)> {
    let mut heads = Vec::new();
    let mut shared = |name, of: &dyn Fn(&Record) -> Option<String>| {
        let mut values: Vec<String> = Vec::new();
        for value in records.iter().filter_map(of) {
            if !values.contains(&value) && values.len() <= SHARED_MAX {
                values.push(value);
            }
        }
        // One that asked and one that used the answer are one story.
        if !values.is_empty() && (values.len() == 1 || name == "call" && values.len() <= SHARED_MAX) {
            heads.push((name, values.join(", ")));
        }
    };
    shared("call", &|record| record.correlation.call.map(|call| call.to_string()));
    shared("tool", &tool);
    shared("mission", &|record| record.correlation.mission.as_deref().map(str::to_owned));
    shared("run", &|record| record.correlation.run.map(|run| run.to_string()));
    shared("agent", &|record| {
        let version = record.agent.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        (&*record.agent.name != "countersign").then(|| format!("{}{version}", record.agent.name))
    });
    shared("initiator", &|record| {
        (&*record.initiator.name != "countersign").then(|| record.initiator.name.to_string())
    });
    heads
}

fn tool(record: &Record) -> Option<String> {
    match &record.body {
        Body::Action(action) => Some(action.tool.to_string()),
        Body::Approval(approval) => Some(approval.tool.to_string()),
        Body::Decision(decision) => Some(decision.input.tool.to_string()),
        Body::Access(_) | Body::Exception(_) | Body::Ledger(_) | Body::Request(_) | Body::Version(_) => None,
    }
}

/// `+12 ms`, `+3.4 s`, `+5 min`, `+2 h 10`, `+3 d`.
fn passed(from: Timestamp, to: Timestamp) -> String {
    let micros = to.micros_since(from);
    let (millis, seconds, minutes, hours) =
        (micros / 1_000, micros / 1_000_000, micros / 60_000_000, micros / 3_600_000_000);
    match () {
        () if micros == 0 => String::new(),
        () if millis == 0 => format!("+{micros} us"),
        () if seconds == 0 => format!("+{millis} ms"),
        () if minutes == 0 => format!("+{seconds}.{} s", millis / 100 % 10),
        () if hours == 0 => format!("+{minutes} min"),
        () if hours < 48 => format!("+{hours} h {:02}", minutes % 60),
        () => format!("+{} d", hours / 24),
    }
}

fn write(out: &mut String, paint: Paint, when: &str, event: &Event) {
    let verb = format!("{:<13}", shown(&event.verb));
    let who = event.who.as_ref().map(|who| format!("{who}: ")).unwrap_or_default();
    let mut lines = broken(&shown(&format!("{who}{}", event.text)), WIDTH - INDENT).into_iter();
    let first = lines.next().unwrap_or_default();
    let line = format!("{} {} {first}", paint.dim(when), paint.verb(event.tone, &verb));
    let _never = writeln!(out, "{}", line.trim_end());
    for line in lines {
        let _never = writeln!(out, "{:INDENT$}{line}", "");
    }
    for line in event.more.iter().flat_map(|more| broken(&shown(more), WIDTH - INDENT)) {
        let _never = writeln!(out, "{:INDENT$}{}", "", paint.dim(&line));
    }
}

/// Lines of at most `width` letters, broken at spaces where there are any.
fn broken(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut letters) = (Vec::new(), String::new(), 0);
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        if letters > 0 && letters + 1 + rest.len() > width {
            lines.push(std::mem::take(&mut line));
            letters = 0;
        }
        if letters > 0 {
            line.push(' ');
            letters += 1;
        }
        while letters + rest.len() > width {
            let tail = rest.split_off(width - letters);
            line.extend(std::mem::replace(&mut rest, tail));
            lines.push(std::mem::take(&mut line));
            letters = 0;
        }
        letters += rest.len();
        line.extend(rest);
    }
    lines.push(line);
    lines
}

fn event(record: &Record) -> Event {
    let mut event = match &record.body {
        Body::Access(access) => Event {
            tone: Tone::Plain,
            verb: "opened".into(),
            who: Some(access.who.clone()),
            text: access.why.clone(),
            more: record.links.iter().map(|link| format!("content: {}", link.rel)).collect(),
        },
        Body::Action(action) => of_action(action),
        Body::Approval(approval) => of_approval(approval),
        Body::Decision(decision) => of_decision(decision),
        Body::Exception(exception) => of_exception(exception),
        Body::Ledger(ledger) => Event {
            tone: Tone::Plain,
            verb: ledger.event.to_string(),
            who: None,
            text: ledger.detail.clone(),
            more: vec![],
        },
        Body::Request(request) => of_request(request, record),
        Body::Version(version) => of_version(version),
    };
    if !record.data_classes.is_empty() {
        event.more.push(format!("data: {}", record.data_classes.join(", ")));
    }
    event
}

fn of_request(request: &RequestContext, record: &Record) -> Event {
    let channel = &request.channel;
    let client = channel.client.as_ref().map(|client| format!(", client {} {}", client.name, client.version));
    let authenticated = serde_json::to_value(request.authenticated).unwrap_or_default();
    let mut more = Vec::new();
    more.extend(request.purpose.as_ref().map(|purpose| format!("purpose, as the agent says: {}", purpose.text)));
    if !request.delegation.is_empty() {
        more.push(format!("on behalf of {}", request.delegation.join(", ")));
    }
    Event {
        tone: Tone::Plain,
        verb: "session".into(),
        who: None,
        text: format!(
            "{} for {} ({}), {} over {}{}",
            record.agent.name,
            record.initiator.name,
            authenticated.as_str().unwrap_or_default(),
            channel.upstream,
            channel.transport,
            client.unwrap_or_default()
        ),
        more,
    }
}

fn of_decision(decision: &DecisionRecord) -> Event {
    let tone = match decision.effect {
        Effect::Allow => Tone::Good,
        Effect::Ask => Tone::Open,
        Effect::Deny => Tone::Bad,
    };
    let verb = match decision.point {
        DecisionPoint::Call => decision.effect.to_string(),
        point => format!("{} at {point}", decision.effect),
    };
    let mut more = Vec::new();
    more.extend(decision.would.map(|would| format!("only observed: the mission says {would}")));
    if !decision.reasons.is_empty() {
        more.push(format!("reasons: {}", decision.reasons.join(", ")));
    }
    if !decision.gates.is_empty() {
        more.push(format!("gates: {}", decision.gates.join(", ")));
    }
    for target in &decision.input.provenance {
        let source = target.source.as_ref().map(|source| format!(", first seen in {source}")).unwrap_or_default();
        more.push(format!("{} named by: {}{source}", target.argument, target.origin));
    }
    let rules: Vec<String> = decision.rules.iter().map(|rule| format!("{} (line {})", rule.id, rule.line)).collect();
    if !rules.is_empty() {
        more.push(format!("rules: {}", rules.join(", ")));
    }
    more.push(format!("mission version {}", short(&decision.policy.mission_sha256)));
    Event { tone, verb, who: None, text: decision.sentence.clone(), more }
}

fn of_action(action: &ActionRecord) -> Event {
    let attempt = if action.attempt > 1 { format!(", attempt {}", action.attempt) } else { String::new() };
    let mut more = Vec::new();
    let (tone, verb, text) = match action.event {
        ActionEvent::Intent => {
            more.push(format!("arguments {}", short(&action.args_sha256)));
            (Tone::Plain, "intent".to_owned(), format!("about to run, effect class {}{attempt}", action.effect_class))
        }
        ActionEvent::Outcome => {
            let status = action.status.unwrap_or(Status::Unknown);
            let tone = match status {
                Status::Done => Tone::Good,
                Status::Pending => Tone::Open,
                Status::Cancelled | Status::NotExecuted | Status::ToolError | Status::Unknown => Tone::Bad,
            };
            let mut said = Vec::new();
            said.extend(action.reason.as_ref().map(|reason| format!("reason {reason}")));
            said.extend(action.duration_us.map(|micros| {
                format!(
                    "ran {}",
                    passed(Timestamp::EPOCH, Timestamp::EPOCH.plus_micros(micros.cast_signed())).replace('+', "")
                )
            }));
            said.extend(action.result_bytes.map(|bytes| format!("result of {bytes} bytes")));
            said.extend(action.result_sha256.as_ref().map(|sha256| short(sha256)));
            (tone, status.to_string(), format!("{}{attempt}", said.join(", ")))
        }
    };
    more.extend(action.external_reference.as_ref().map(|reference| format!("reference of the upstream: {reference}")));
    more.extend(action.reported.iter().map(|reported| {
        let note = reported.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("reported by {}{note}", reported.by)
    }));
    more.extend(action.captured.iter().map(|captured| format!("{} kept: {}", captured.content, captured.mode)));
    Event { tone, verb, who: None, text, more }
}

fn of_approval(approval: &ApprovalRecord) -> Event {
    if let Some(review) = &approval.review {
        return of_review(review);
    }
    let (tone, verb) = match approval.event {
        ApprovalEvent::Requested => (Tone::Open, "asked".to_owned()),
        ApprovalEvent::Resolved => {
            let resolution = approval.resolution.map(|resolution| resolution.to_string()).unwrap_or_default();
            let tone = if approval.grant.is_some() { Tone::Good } else { Tone::Bad };
            (tone, resolution)
        }
        ApprovalEvent::Expired | ApprovalEvent::Revoked => (Tone::Bad, approval.event.to_string()),
        ApprovalEvent::Consumed => (Tone::Good, "used".to_owned()),
        ApprovalEvent::Escalated
        | ApprovalEvent::Reminded
        | ApprovalEvent::Delivered
        | ApprovalEvent::Released
        | ApprovalEvent::Review => (Tone::Plain, approval.event.to_string()),
    };
    let mut more = Vec::new();
    let mut text = approval.why.clone().unwrap_or_default();
    if let Some(question) = &approval.question {
        text.clone_from(&question.sentence);
        more.extend(question.gates.iter().map(thresholds));
        more.push(format!("answer by {}", clock(question.respond_by)));
        let excluded: Vec<String> =
            question.excluded.iter().map(|excluded| format!("{} ({})", excluded.person, excluded.role)).collect();
        if !excluded.is_empty() {
            more.push(format!("may not answer: {}", excluded.join(", ")));
        }
    }
    if let Some(gate) = &approval.gate {
        more.push(format!("gate {gate}"));
    }
    if let Some(grant) = &approval.grant {
        let uses = if grant.uses == 1 { "once".to_owned() } else { format!("{} times", grant.uses) };
        more.push(format!("good {uses} until {}", clock(grant.not_after)));
        if !grant.break_glass.is_empty() {
            more.push(format!("glass broken at {}", grant.break_glass.join(", ")));
        }
    }
    if text.is_empty() {
        text = match approval.used {
            Some(used) => format!("use {used} of approval {}", approval.approval),
            None => format!("approval {}", approval.approval),
        };
    } else if approval.event == ApprovalEvent::Requested {
        more.push(format!("approval {}", approval.approval));
    }
    Event { tone, verb, who: approval.who.clone(), text, more }
}

fn of_review(review: &Review) -> Event {
    use evidence::record::approval::Answer;
    let tone = match review.answer {
        Answer::Approve => Tone::Good,
        Answer::BreakGlass | Answer::Deny | Answer::Edit => Tone::Bad,
        Answer::Ask | Answer::Recuse | Answer::Withdraw => Tone::Open,
    };
    let for_whom = review.on_behalf_of.as_ref().map(|person| format!(" for {person}")).unwrap_or_default();
    let signed = if review.signature.is_some() { "signed" } else { "not signed" };
    let mut more = vec![format!("{}, {signed}, {}, of {}", review.assurance, review.channel, review.groups.join(", "))];
    more.extend(review.ticket.as_ref().map(|ticket| format!("ticket {ticket}")));
    more.extend(review.proposed_sha256.as_ref().map(|sha256| format!("proposes arguments {}", short(sha256))));
    Event {
        tone,
        verb: review.answer.to_string(),
        who: Some(format!("{}{for_whom}", review.reviewer)),
        text: review.reason.clone(),
        more,
    }
}

/// `gate payments: 2 of finance-leads and 1 of treasury`.
fn thresholds(gate: &Gate) -> String {
    let stages: Vec<String> = gate
        .stages
        .iter()
        .map(|stage| {
            let alternatives: Vec<String> = stage
                .any_of
                .iter()
                .map(|alternative| {
                    let quorums: Vec<String> = alternative
                        .all_of
                        .iter()
                        .map(|quorum| format!("{} of {}", quorum.need, quorum.group))
                        .collect();
                    quorums.join(" and ")
                })
                .collect();
            alternatives.join(", or ")
        })
        .collect();
    format!("gate {}: {}", gate.name, stages.join("; then "))
}

fn of_exception(exception: &ExceptionRecord) -> Event {
    use evidence::record::ExceptionEvent;
    let tone = match exception.event {
        ExceptionEvent::Opened => Tone::Bad,
        ExceptionEvent::Mitigated | ExceptionEvent::Reviewed => Tone::Open,
        ExceptionEvent::Closed => Tone::Good,
    };
    let mut more = vec![format!("exception {}, owner {}", exception.exception, exception.owner)];
    more.extend(exception.mitigation.as_ref().map(|mitigation| format!("mitigation: {mitigation}")));
    more.extend(exception.note.as_ref().map(|note| format!("note: {note}")));
    more.extend(exception.due.map(|due| format!("due {}", clock(due))));
    Event {
        tone,
        verb: exception.event.to_string(),
        who: exception.who.clone(),
        text: format!("{}: {}", exception.kind, exception.reason),
        more,
    }
}

fn of_version(version: &VersionLog) -> Event {
    let from = version.from.as_ref().map(|from| format!("{} to ", short(from))).unwrap_or_default();
    let mut more = vec![format!("{from}{}", short(&version.to))];
    more.extend(version.direction.map(|direction| format!("direction: {direction}")));
    more.extend(version.difference.iter().cloned());
    Event {
        tone: Tone::Plain,
        verb: version.object.kind.to_string(),
        who: Some(version.who.clone()),
        text: format!("{}: {}", version.object.name, version.why),
        more,
    }
}

/// The start of a digest.
fn short(digest: &str) -> String {
    digest.chars().take(DIGEST).collect()
}

/// Whole seconds.
fn clock(at: Timestamp) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ")
}
