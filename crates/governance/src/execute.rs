//! What came back from the tool, and whether and how it may go on to the agent.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use evidence::leaf::sha256_hex;
use evidence::record::{Obligation, Reported, Rule, Status, Tool};
use evidence::time::Timestamp;
use memchr::memmem;

use crate::classify::deidentify::{Keys, Mark, deidentify};
use crate::classify::{Found, Kept, Place, is_opaque};
use crate::decide::{Arrival, PolicySnapshot};
use crate::limits::RESULT_BYTES_MAX;
use crate::mission::{OnResult, Treatment, UNCLASSIFIED, joined};
use crate::reason::Reason;

/// How an execution went on, as the surface saw it.
#[derive(Clone, Debug)]
pub enum Execution {
    /// It ended.
    Ended(Outcome),
    /// The upstream made a task of it, which goes on.
    Task(Created),
}

/// An upstream's answer that it has made a task of a call, whose outcome is still to come.
#[derive(Clone, Debug)]
pub struct Created {
    /// The exact bytes to hand to the agent.
    pub payload: Bytes,
    /// The exact bytes of the result inside the payload.
    pub result: Bytes,
}

/// How an execution ended, as the surface saw it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was found in the result, once that was looked at: [`examine`].
    pub examined: Option<Box<Examined>>,
    /// The upstream's own reference for what it did.
    pub external_reference: Option<String>,
    /// The exact bytes to hand to the agent; `None` where there was no answer.
    pub payload: Option<Bytes>,
    /// Why, where the status is not `done`.
    pub reason: Option<Reason>,
    /// Who said so, where nobody here saw it.
    pub reported: Option<Reported>,
    /// The exact bytes of the result or error inside the payload: what the record's digest covers.
    pub result: Option<Bytes>,
    /// What became of it.
    pub status: Status,
}

impl Outcome {
    /// An execution without an answer.
    #[must_use]
    pub const fn without_answer(status: Status, reason: Reason) -> Self {
        Self {
            examined: None,
            external_reference: None,
            payload: None,
            reason: Some(reason),
            reported: None,
            result: None,
            status,
        }
    }

    /// SHA-256 of the result's exact bytes, and their count.
    #[must_use]
    pub fn digest(&self) -> Option<(String, u64)> {
        self.result.as_ref().map(|result| (sha256_hex(result), result.len() as u64))
    }
}

/// A result after it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// When.
    pub at: Timestamp,
    /// The classes of data that were found in it, sorted.
    pub classes: Vec<Arc<str>>,
    /// The exceptions by which something of it stays.
    pub excepted: Vec<Rule>,
    /// What was done with it, and with what the agent gets instead of it; none where nothing is kept of any content.
    pub kept: Vec<Kept>,
    /// What its classes say of its release.
    pub release: Release,
}

/// The release decision on a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The result goes on changed.
    Changed {
        /// What was done.
        obligations: Vec<Obligation>,
        /// The exact bytes to hand to the agent.
        payload: Bytes,
        /// The exact bytes of the result inside of it.
        result: Bytes,
        /// The rules that say so.
        rules: Vec<Rule>,
    },
    /// The result goes on as it came.
    Pass,
    /// The result stays here.
    Withhold {
        /// Why.
        reason: Reason,
        /// The rules that say so.
        rules: Vec<Rule>,
        /// The rationale, for the owner.
        sentence: Arc<str>,
    },
}

/// Looks at what an execution returned, and when: which classes of data it holds, and what `policy` makes of them.
///
/// What cannot be changed as the policy says is withheld.
#[must_use]
pub fn examine(outcome: Outcome, policy: &PolicySnapshot, found: &Found, keys: &Keys, of: Arrival<'_>) -> Outcome {
    let (Some(payload), Some(result)) = (&outcome.payload, &outcome.result) else { return outcome };
    let is_opaque = is_opaque(result) && !found.is_unread();
    let mut classes = policy.labels(found);
    classes.extend(is_opaque.then(|| UNCLASSIFIED.into()));
    let mut excepted: Vec<Rule> = Vec::new();
    for rule in classes.iter().filter_map(|class| policy.excepted(class, of)) {
        if !excepted.contains(&rule) {
            excepted.push(rule);
        }
    }
    let release = release_of(&classes, found, (policy, of), payload, result, keys);
    let examined = Examined { at: of.at, classes, excepted, kept: Vec::new(), release };
    Outcome { examined: Some(Box::new(examined)), ..outcome }
}

/// Looks at an aside, which is what an upstream `said` beside the outcomes of calls, as [`examine`] does at a result. No exception is for one.
#[must_use]
pub fn examine_aside(said: &Bytes, policy: &PolicySnapshot, found: &Found, keys: &Keys, of: Arrival<'_>) -> Examined {
    let classes = policy.labels(found);
    let release = release_of(&classes, found, (policy, of), said, said, keys);
    Examined { at: of.at, classes, excepted: Vec::new(), kept: Vec::new(), release }
}

fn release_of(
    classes: &[Arc<str>],
    found: &Found,
    (policy, of): (&PolicySnapshot, Arrival<'_>),
    payload: &Bytes,
    result: &Bytes,
    keys: &Keys,
) -> Release {
    let ruled: Vec<(&Arc<str>, OnResult, Rule)> = classes
        .iter()
        .filter_map(|class| policy.on_result(class, of).map(|(does, rule)| (class, does, rule)))
        .collect();
    let rules = ruled.iter().map(|(_, _, rule)| rule.clone());
    let blocked = ruled.iter().filter(|(_, does, _)| *does == OnResult::Block);
    let blocked: Vec<String> = blocked.map(|(class, ..)| format!("`{class}`")).collect();
    if !blocked.is_empty() {
        let sentence =
            format!("the result holds data of class {}, which the agent may not have", joined(blocked, "and"));
        return Release::Withhold { reason: Reason::DataWithheld, rules: rules.collect(), sentence: sentence.into() };
    }
    let treatment = |class: &str| {
        ruled.iter().find(|(known, ..)| ***known == *class).map_or(Treatment::Keep, |(_, does, _)| match does {
            OnResult::Treat(treatment) => *treatment,
            OnResult::Block => Treatment::Keep,
        })
    };
    let marks: Vec<Mark<'_>> = found
        .places()
        .iter()
        .map(|place| Mark {
            class: place.class,
            kind: &place.kind,
            range: place.range.clone(),
            treatment: treatment(&policy.label(place.class, &place.kind)),
        })
        .filter(|mark| mark.treatment != Treatment::Keep)
        .collect();
    if marks.is_empty() {
        return Release::Pass;
    }
    let changed = deidentify(result, &marks, policy.mission().name(), keys).ok().and_then(|changed| {
        let at = memmem::rfind(payload, result)?;
        let (before, after) = (payload.get(..at)?, payload.get(at + result.len()..)?);
        Some((Bytes::from([before, &changed.text, after].concat()), changed))
    });
    let Some((payload, changed)) = changed else {
        let sentence = "what was found in the result could not be changed as the mission says";
        return Release::Withhold { reason: Reason::DataWithheld, rules: rules.collect(), sentence: sentence.into() };
    };
    let obligations = changed.applied.iter().map(|((class, kind, treatment), count)| Obligation {
        kind: treatment.name().to_owned(),
        target: format!("result:{class}.{kind}:{count}"),
    });
    Release::Changed {
        obligations: obligations.collect(),
        payload,
        result: changed.text.into(),
        rules: rules.collect(),
    }
}

/// The kinds and classes of what was `found` in a result that its agent gets: not what is taken out of it, and nothing of a result that is withheld.
#[must_use]
pub fn reaching(examined: &Examined, found: &Found, policy: &PolicySnapshot, tool: &Tool) -> BTreeSet<Arc<str>> {
    if matches!(examined.release, Release::Withhold { .. }) {
        return BTreeSet::new();
    }
    let of = Arrival { at: examined.at, tool };
    let stays = |place: &&Place| policy.stays(place.class, &place.kind, of);
    let unread = examined.classes.iter().filter(|class| ***class == *UNCLASSIFIED);
    found.places().iter().filter(stays).map(Place::kind).chain(unread.cloned()).collect()
}

/// Decides whether the outcome's result may go on to the agent, and how.
#[must_use]
pub fn release(result: Option<&Bytes>, examined: Option<Box<Examined>>) -> Release {
    match result {
        Some(result) if result.len() > RESULT_BYTES_MAX => Release::Withhold {
            reason: Reason::ResultTooLarge,
            rules: Vec::new(),
            sentence: "the result is larger than the gateway passes on".into(),
        },
        _ => examined.map_or(Release::Pass, |examined| examined.release),
    }
}

#[cfg(test)]
mod tests {
    use evidence::record::{Endpoint, Surface};

    use super::*;
    use crate::classify::deidentify::HashKey;
    use crate::classify::token::TokenKey;
    use crate::decide::compile;
    use crate::mission::parse;

    const HEADER: &str = r#"
mission = "example"
goal    = "Show a rule."
owner   = "it@corp.example"
agents  = ["bot"]
until   = 2026-12-31
why     = "First version."

[allow.mcp.crm]
"*" = {}

[data]
"#;

    /// What becomes of a `result` in which `ssn` was found.
    fn released(data: &str, result: &str, ssn: Option<&str>) -> Examined {
        let policy = compile(Arc::new(parse(&format!("{HEADER}{data}\n")).unwrap())).unwrap();
        let payload = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
        let at = payload.len() - 1 - result.len();
        let outcome = Outcome {
            payload: Some(payload.clone()),
            result: Some(payload.slice(at..payload.len() - 1)),
            ..Outcome::without_answer(Status::Done, Reason::ConnectionLost)
        };
        let places = ssn.map(|ssn| {
            let start = result.find(ssn).unwrap();
            Place { class: "pii", kind: "us_ssn".into(), range: start..start + ssn.len() }
        });
        let found = Found::new(places.into_iter().collect(), true);
        let keys = Keys { hash: HashKey::new([7; 32]), token: TokenKey::new([8; 64]) };
        let tool = Tool {
            endpoint: Endpoint::Tool,
            name: "get_customer".into(),
            surface: Surface::Mcp,
            upstream: "crm".into(),
        };
        let of = Arrival { at: "2026-12-01T12:00:00Z".parse().unwrap(), tool: &tool };
        *examine(outcome, &policy, &found, &keys, of).examined.unwrap()
    }

    #[test]
    fn results_go_on_as_the_mission_says() {
        let result = r#"{"content":[{"type":"text","text":"{\"ssn\":\"536-22-8726\"}"}]}"#;
        let ssn = Some("536-22-8726");
        for (data, after) in [
            ("secret = { result = \"block\" }", Ok(None)),
            ("pii = { result = \"keep\" }", Ok(None)),
            ("pii = { result = \"tag\" }", Ok(Some(r#"{\"ssn\":\"[pii.us_ssn]\"}"#))),
            ("pii = { result = \"mask\" }", Ok(Some(r#"{\"ssn\":\"***-**-8726\"}"#))),
            ("pii = { result = \"block\" }", Err("`pii`")),
        ] {
            let examined = released(data, result, ssn);
            assert_eq!(examined.classes.iter().map(|class| &**class).collect::<Vec<_>>(), ["pii"]);
            match (examined.release, after) {
                (Release::Pass, Ok(None)) => {}
                (Release::Changed { payload, result, .. }, Ok(Some(after))) => {
                    let text = std::str::from_utf8(&payload).unwrap();
                    assert!(text.contains(after) && !text.contains("536-22"), "{data}: {text}");
                    assert!(text.ends_with(&format!("{}}}", std::str::from_utf8(&result).unwrap())));
                }
                (Release::Withhold { reason: Reason::DataWithheld, sentence, rules }, Err(says)) => {
                    assert!(sentence.contains(says) && rules.len() == 1, "{data}: {sentence}");
                }
                (release, _) => panic!("{data}: {release:?}"),
            }
        }
    }

    #[test]
    fn what_an_exception_lets_stay_stays_until_its_day() {
        let result = r#"{"content":[{"type":"text","text":"{\"ssn\":\"536-22-8726\"}"}]}"#;
        for (does, tool, until, stays) in [
            ("redact", "get_customer", "2026-12-02", true),
            ("block", "get_customer", "2026-12-01T12:00:00.000001Z", true),
            ("block", "get_customer", "2026-12-01T12:00:00Z", false),
            ("redact", "get_customer", "2026-11-30", false),
            ("redact", "find_customer", "2026-12-02", false),
        ] {
            let except = format!(r#"{{ tool = "mcp:crm/{tool}", in = "result", until = {until}, why = "Pilot." }}"#);
            let data = format!("pii = {{ result = {does:?}, except = [{except}] }}");
            let examined = released(&data, result, Some("536-22-8726"));
            assert_eq!(examined.release == Release::Pass, stays, "{data}: {examined:?}");
            let rules: Vec<&str> = examined.excepted.iter().map(|rule| &*rule.id).collect();
            assert_eq!(
                rules,
                if stays { vec!["data.pii.except.mcp.crm.get_customer.result"] } else { vec![] },
                "{data}"
            );
        }
    }

    #[test]
    fn what_cannot_be_changed_or_looked_into_is_withheld() {
        let is_withheld = |examined: &Examined| matches!(examined.release, Release::Withhold { .. });
        assert!(is_withheld(&released("pii = { result = \"redact\" }", r#"{"a":536228726"#, Some("536228726"))));
        let picture = r#"{"content":[{"type":"image","data":"iVBORw0","mimeType":"image/png"}]}"#;
        let opaque = released("unclassified = { result = \"block\" }", picture, None);
        assert_eq!(opaque.classes.iter().map(|class| &**class).collect::<Vec<_>>(), [UNCLASSIFIED]);
        assert!(is_withheld(&opaque));
        assert!(!is_withheld(&released("pii = { result = \"block\" }", picture, None)));
    }
}
