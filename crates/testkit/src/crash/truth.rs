//! What must be true after any number of kills, checked on three independent accounts: what clients sent and heard, what the upstream did, and what the ledger
//! says. Pure: three lists in, what is wrong out.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

/// One call as its client knows it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// SHA-256 of the exact argument bytes, lower-case hexadecimal.
    pub(super) args_sha256: String,
    pub(super) heard: Heard,
    pub(super) key: String,
    pub(super) kept: Kept,
}

/// When the outcome of a call must be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Before the answer.
    BeforeAnswer,
    /// Soon after it: the mission calls the tool a read. A kill in between leaves the call `unknown`.
    Soon,
}

/// What a client heard of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing: the connection broke.
    Nothing,
    /// A result.
    Done,
    /// A result with `isError`, which the test upstream never gives for the calls of this load: the gateway refused.
    ToolError(String),
    /// A JSON-RPC error.
    Refused(String),
}

/// One line of the upstream's own log.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    pub(super) key: String,
    pub(super) micros: i64,
}

impl Effect {
    /// Reads `key<TAB>unix_micros<TAB>pid`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let effect = Self { key: fields.next()?.to_owned(), micros: fields.next()?.parse().ok()? };
        fields.next()?.parse::<u32>().ok()?;
        fields.next().is_none().then_some(effect)
    }
}

/// An action record, as far as the truth needs it.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) args_sha256: String,
    pub(super) call: String,
    pub(super) event: String,
    pub(super) micros: i64,
    pub(super) seq: u64,
    pub(super) status: Option<String>,
}

impl Action {
    /// Reads one line of `audit --format json`, with a reader of its own.
    pub(super) fn parse(line: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Record {
            body: Body,
            correlation: Correlation,
            recorded_at: String,
            seq: u64,
        }
        #[derive(Deserialize)]
        struct Body {
            args_sha256: String,
            event: String,
            #[serde(default)]
            status: Option<String>,
        }
        #[derive(Deserialize)]
        struct Correlation {
            call: String,
        }
        let Record { body, correlation, recorded_at, seq } = serde_json::from_str(line)?;
        Ok(Self {
            args_sha256: body.args_sha256,
            call: correlation.call,
            event: body.event,
            micros: recorded_at.parse::<jiff::Timestamp>()?.as_microsecond(),
            seq,
            status: body.status,
        })
    }
}

/// The three accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    pub(super) actions: Vec<Action>,
    pub(super) effects: Vec<Effect>,
    pub(super) sent: Vec<Sent>,
}

/// What must be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    StartsAgain,
    EffectHasIntent,
    IntentComesFirst,
    NothingTwice,
    CallsAreClosed,
    StatusIsTrue,
    RepliesAreKept,
    NothingInvented,
    LedgerVerifies,
}

impl Rule {
    pub(super) const ALL: [Self; 9] = [
        Self::StartsAgain,
        Self::EffectHasIntent,
        Self::IntentComesFirst,
        Self::NothingTwice,
        Self::CallsAreClosed,
        Self::StatusIsTrue,
        Self::RepliesAreKept,
        Self::NothingInvented,
        Self::LedgerVerifies,
    ];
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::StartsAgain => "a gateway that was killed starts again, answers, and leaves no process behind",
            Self::EffectHasIntent => "every effect has an intent in the ledger",
            Self::IntentComesFirst => "the intent was recorded before the effect",
            Self::NothingTwice => "nothing ran twice, and no call or record is there twice",
            Self::CallsAreClosed => "every call is closed, once",
            Self::StatusIsTrue => "what is done was done, and what was not executed was not",
            Self::RepliesAreKept => "what a client heard is done is done in the ledger",
            Self::NothingInvented => "the ledger and the upstream know no call that no client sent",
            Self::LedgerVerifies => "the ledger verifies",
        })
    }
}

/// A rule that does not hold, and the case that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) rule: Rule,
    pub(super) case: String,
}

impl Wrong {
    pub(super) const fn new(rule: Rule, case: String) -> Self {
        Self { rule, case }
    }
}

/// What the accounts come to, and every contradiction between them.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Calls in the ledger by the status that they were closed with.
    pub(super) closed: BTreeMap<String, usize>,
    /// Reads whose answer was heard and whose outcome was lost.
    pub(super) lost_after_answer: usize,
    pub(super) wrong: Vec<Wrong>,
}

/// The states in which a call is closed.
const CLOSED: [&str; 6] = ["cancelled", "done", "not_executed", "pending", "tool_error", "unknown"];

/// One call as the ledger tells it.
#[derive(Debug, Default)]
struct Told<'a> {
    intents: Vec<&'a Action>,
    outcomes: Vec<&'a Action>,
}

impl<'a> Told<'a> {
    fn status(&self) -> Option<&'a str> {
        self.outcomes.first()?.status.as_deref()
    }
}

/// Holds the three accounts against each other.
pub(super) fn check(accounts: &Accounts) -> Findings {
    let mut findings = Findings::default();
    let wrong = &mut findings.wrong;
    let calls = by_call(&accounts.actions, wrong);
    for (call, told) in &calls {
        match closed_once(call, told) {
            Ok(status) => *findings.closed.entry(status.to_owned()).or_default() += 1,
            Err(case) => wrong.push(Wrong::new(Rule::CallsAreClosed, case)),
        }
    }
    let by_digest = by_digest(&calls, wrong);
    let sent: HashMap<&str, &Sent> = accounts.sent.iter().map(|sent| (&*sent.args_sha256, sent)).collect();
    for (digest, call) in &by_digest {
        if !sent.contains_key(digest) {
            let case = format!("call {call} has the arguments {digest}, which no client sent");
            wrong.push(Wrong::new(Rule::NothingInvented, case));
        }
    }
    let told = |sent: &Sent| calls.get(by_digest.get(&*sent.args_sha256)?);
    let effects = by_key(&accounts.effects, &accounts.sent, wrong);
    for sent in &accounts.sent {
        let told = told(sent);
        wrong.extend(effect_had_an_intent(sent, effects.get(&*sent.key).copied(), told));
        wrong.extend(reply_is_in_the_ledger(sent, told));
        if sent.heard == Heard::Done && told.and_then(Told::status) == Some("unknown") {
            findings.lost_after_answer += 1;
        }
    }
    findings
}

fn by_call<'a>(actions: &'a [Action], wrong: &mut Vec<Wrong>) -> BTreeMap<&'a str, Told<'a>> {
    let mut calls: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    let mut seqs = HashMap::new();
    for action in actions {
        if let Some(other) = seqs.insert(action.seq, &action.call) {
            let case = format!("record {} is there twice, for calls {other} and {}", action.seq, action.call);
            wrong.push(Wrong::new(Rule::NothingTwice, case));
        }
        let told = calls.entry(&action.call).or_default();
        match &*action.event {
            "intent" => told.intents.push(action),
            "outcome" => told.outcomes.push(action),
            event => {
                let case = format!("record {} of call {} has the event `{event}`", action.seq, action.call);
                wrong.push(Wrong::new(Rule::NothingInvented, case));
            }
        }
    }
    calls
}

/// One intent, then one outcome with a closing status.
fn closed_once<'a>(call: &str, told: &Told<'a>) -> Result<&'a str, String> {
    match (&*told.intents, &*told.outcomes) {
        ([intent], [outcome]) if intent.seq < outcome.seq => match outcome.status.as_deref() {
            Some(status) if CLOSED.contains(&status) => Ok(status),
            status => Err(format!("call {call} is closed with the status {status:?} (record {})", outcome.seq)),
        },
        ([intent], [outcome]) => {
            Err(format!("call {call} has its outcome (record {}) before its intent ({})", outcome.seq, intent.seq))
        }
        ([intent], []) => Err(format!("call {call} is open: intent in record {}, no outcome", intent.seq)),
        (intents, outcomes) => {
            Err(format!("call {call} has {} intents and {} outcomes", intents.len(), outcomes.len()))
        }
    }
}

fn by_digest<'a>(calls: &BTreeMap<&'a str, Told<'a>>, wrong: &mut Vec<Wrong>) -> HashMap<&'a str, &'a str> {
    let mut digests = HashMap::new();
    for (call, told) in calls {
        for intent in &told.intents {
            if let Some(other) = digests.insert(&*intent.args_sha256, *call) {
                let case = format!("calls {other} and {call} are both for the arguments {}", intent.args_sha256);
                wrong.push(Wrong::new(Rule::NothingTwice, case));
            }
        }
    }
    digests
}

fn by_key<'a>(effects: &'a [Effect], sent: &[Sent], wrong: &mut Vec<Wrong>) -> HashMap<&'a str, &'a Effect> {
    let known: std::collections::HashSet<&str> = sent.iter().map(|sent| &*sent.key).collect();
    let mut keys = HashMap::new();
    for effect in effects {
        if !known.contains(&*effect.key) {
            let case = format!("the upstream did `{}`, which no client sent", effect.key);
            wrong.push(Wrong::new(Rule::NothingInvented, case));
        }
        if keys.insert(&*effect.key, effect).is_some() {
            wrong.push(Wrong::new(Rule::NothingTwice, format!("`{}` was done twice", effect.key)));
        }
    }
    keys
}

fn effect_had_an_intent(sent: &Sent, effect: Option<&Effect>, told: Option<&Told<'_>>) -> Option<Wrong> {
    let key = &sent.key;
    let status = told.and_then(Told::status);
    let (rule, case) = match (effect, told.and_then(|told| told.intents.first())) {
        (Some(_), None) => (Rule::EffectHasIntent, format!("`{key}` was done without an intent in the ledger")),
        (Some(effect), Some(intent)) if intent.micros > effect.micros => {
            let late = intent.micros - effect.micros;
            let case = format!("`{key}` was done {late} us before its intent (record {}) was recorded", intent.seq);
            (Rule::IntentComesFirst, case)
        }
        (Some(_), Some(intent)) if status == Some("not_executed") => {
            (Rule::StatusIsTrue, format!("`{key}` was done, and call {} says not executed", intent.call))
        }
        (None, Some(intent)) if status == Some("done") => {
            let case = format!("call {} says that `{key}` was done, and the upstream knows nothing of it", intent.call);
            (Rule::StatusIsTrue, case)
        }
        (Some(_) | None, Some(_)) | (None, None) => return None,
    };
    Some(Wrong::new(rule, case))
}

fn reply_is_in_the_ledger(sent: &Sent, told: Option<&Told<'_>>) -> Option<Wrong> {
    let status = told.and_then(Told::status);
    let is_kept = match sent.kept {
        Kept::BeforeAnswer => status == Some("done"),
        Kept::Soon => matches!(status, Some("done" | "unknown")),
    };
    (sent.heard == Heard::Done && !is_kept).then(|| {
        let case = format!("a client heard that `{}` was done, and the ledger says {status:?}", sent.key);
        Wrong::new(Rule::RepliesAreKept, case)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "call-a";

    fn action(call: &str, digest: &str, event: &str, seq: u64, micros: i64, status: Option<&str>) -> Action {
        Action {
            args_sha256: digest.to_owned(),
            call: call.to_owned(),
            event: event.to_owned(),
            micros,
            seq,
            status: status.map(str::to_owned),
        }
    }

    /// One call, done and heard.
    fn one_done() -> Accounts {
        Accounts {
            actions: vec![
                action(CALL, "aa", "intent", 1, 1_000, None),
                action(CALL, "aa", "outcome", 2, 3_000, Some("done")),
            ],
            effects: vec![Effect { key: "a".to_owned(), micros: 2_000 }],
            sent: vec![Sent {
                args_sha256: "aa".to_owned(),
                heard: Heard::Done,
                key: "a".to_owned(),
                kept: Kept::BeforeAnswer,
            }],
        }
    }

    #[test]
    fn accounts_that_agree_are_left_alone() {
        let mut accounts = one_done();
        // Sent and lost before the gateway had it; recorded and never sent on; recorded, and nobody knows.
        for (key, digest, status) in
            [("b", "bb", None), ("c", "cc", Some("not_executed")), ("d", "dd", Some("unknown"))]
        {
            accounts.sent.push(Sent {
                args_sha256: digest.to_owned(),
                heard: Heard::Nothing,
                key: key.to_owned(),
                kept: Kept::BeforeAnswer,
            });
            if let Some(status) = status {
                let seq = accounts.actions.len() as u64 + 1;
                accounts.actions.push(action(key, digest, "intent", seq, 5_000, None));
                accounts.actions.push(action(key, digest, "outcome", seq + 1, 6_000, Some(status)));
            }
        }
        let findings = check(&accounts);
        assert_eq!(findings.wrong, []);
        let closed: Vec<_> = findings.closed.iter().map(|(status, calls)| (&**status, *calls)).collect();
        assert_eq!(closed, [("done", 1), ("not_executed", 1), ("unknown", 1)]);
    }

    #[test]
    fn a_read_may_lose_its_outcome_and_nothing_else() {
        for (status, found) in [(Some("done"), 0), (Some("unknown"), 0), (Some("not_executed"), 2), (None, 2)] {
            let mut accounts = one_done();
            accounts.sent[0].kept = Kept::Soon;
            accounts.actions[1].status = status.map(str::to_owned);
            let findings = check(&accounts);
            assert_eq!(findings.wrong.len(), found, "{status:?}: {:#?}", findings.wrong);
            assert_eq!(findings.lost_after_answer, usize::from(status == Some("unknown")));
        }
    }

    #[test]
    fn every_lie_is_found() {
        type Lie = fn(&mut Accounts);
        let lies: [(Rule, &str, Lie); 14] = [
            (Rule::EffectHasIntent, "`a` was done without an intent in the ledger", |accounts| {
                accounts.actions.clear()
            }),
            (Rule::IntentComesFirst, "`a` was done 1 us before its intent", |accounts| {
                accounts.actions[0].micros = 2_001
            }),
            (Rule::NothingTwice, "`a` was done twice", |accounts| accounts.effects.push(accounts.effects[0].clone())),
            (Rule::NothingInvented, "the upstream did `z`, which no client sent", |accounts| {
                accounts.effects[0].key = "z".to_owned()
            }),
            (Rule::CallsAreClosed, "call call-a is open", |accounts| drop(accounts.actions.pop())),
            (Rule::CallsAreClosed, "is closed with the status None", |accounts| accounts.actions[1].status = None),
            (Rule::CallsAreClosed, "is closed with the status Some(\"finished\")", |accounts| {
                accounts.actions[1].status = Some("finished".to_owned());
            }),
            (Rule::CallsAreClosed, "1 intents and 2 outcomes", |accounts| {
                accounts.actions.push(action(CALL, "aa", "outcome", 3, 9, Some("done")))
            }),
            (Rule::CallsAreClosed, "outcome (record 2) before its intent (9)", |accounts| accounts.actions[0].seq = 9),
            (Rule::NothingTwice, "record 2 is there twice", |accounts| accounts.actions[0].seq = 2),
            (Rule::NothingTwice, "are both for the arguments aa", |accounts| {
                accounts.actions.push(action("call-b", "aa", "intent", 3, 9, None));
                accounts.actions.push(action("call-b", "aa", "outcome", 4, 9, Some("unknown")));
            }),
            (Rule::NothingInvented, "which no client sent", |accounts| {
                accounts.actions[0].args_sha256 = "ff".to_owned()
            }),
            (
                Rule::RepliesAreKept,
                "a client heard that `a` was done, and the ledger says Some(\"unknown\")",
                |accounts| {
                    accounts.actions[1].status = Some("unknown".to_owned());
                },
            ),
            (Rule::StatusIsTrue, "the upstream knows nothing of it", |accounts| accounts.effects.clear()),
        ];
        for (rule, want, lie) in lies {
            let mut accounts = one_done();
            lie(&mut accounts);
            let wrong = check(&accounts).wrong;
            assert!(
                wrong.iter().any(|wrong| wrong.rule == rule && wrong.case.contains(want)),
                "`{want}` is not in {wrong:#?}"
            );
        }
        let mut accounts = one_done();
        accounts.actions[1].status = Some("not_executed".to_owned());
        accounts.sent[0].heard = Heard::Nothing;
        let case = "`a` was done, and call call-a says not executed".to_owned();
        assert_eq!(check(&accounts).wrong, [Wrong { rule: Rule::StatusIsTrue, case }]);
    }

    #[test]
    fn records_and_effects_are_read_as_they_are_written() {
        let line = r#"{"agent":{"name":"a"},"body":{"args_sha256":"aa","attempt":1,"effect_class":"write","event":"outcome","status":"done"},"correlation":{"call":"c"},"recorded_at":"2026-11-23T09:30:00.000001Z","seq":7,"type":"action_record"}"#;
        let action = Action::parse(line).unwrap();
        assert_eq!((action.micros, action.seq, action.status.as_deref()), (1_795_426_200_000_001, 7, Some("done")));
        assert_eq!(Effect::parse("k\t12\t3").unwrap().micros, 12);
        for broken in ["", "k", "k\t12", "k\tx\t3", "k\t12\t3\t4", "k\t12\t"] {
            assert!(Effect::parse(broken).is_none(), "{broken:?}");
        }
    }
}
