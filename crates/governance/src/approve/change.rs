//! The question that a change makes: a wider mission, or another version of who and what governs agents.
//!
//! A change is asked about like a call and by the same records; [`change_question`] is to it what [`super::question`] is to a call.

use std::sync::Arc;

use evidence::approvals::{change_sha256, changed, could_satisfy, gates_sha256};
use evidence::ids::ApprovalId;
use evidence::leaf::sha256_hex;
use evidence::record::approval::{ApprovalEvent, ApprovalRecord, Gate as Terms, Question};
use evidence::record::{Direction, Rule, VersionLog};
use evidence::time::Timestamp;
use serde::Serialize;

use super::{People, Requested, Unreachable, excluded_as};
use crate::mission::Gate;

/// How long the sentence of a question is at most, in characters; the whole difference is in what is shown.
const SENTENCE_CHARS_MAX: usize = 1_000;

/// A change that waits for people.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What must be satisfied.
    pub gate: &'a Gate,
    /// Who has to do with it beside whoever proposes it, with their roles.
    pub involved: &'a [(&'a str, &'static str)],
    /// The exact new text.
    pub text: &'a str,
    /// What would be recorded.
    pub version: &'a VersionLog,
}

/// What reviewers are shown of a change. Fields in the order of RFC 8785.
#[derive(Serialize)]
struct View<'a> {
    approval: ApprovalId,
    asked_at: Timestamp,
    call_sha256: &'a str,
    difference: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    gates: [String; 1],
    kind: &'a str,
    name: &'a str,
    /// What is to be known of who proposes it.
    note: Option<&'a str>,
    proposed_by: &'a str,
    respond_by: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    text: &'a str,
    to: &'a str,
    tool: String,
    v: u32,
    why: &'a str,
}

/// The request that a change makes of its gate.
///
/// # Errors
/// [`Unreachable`]; then the change does not take effect.
pub fn change_question(
    change: Change<'_>,
    people: &People,
    approval: ApprovalId,
    at: Timestamp,
) -> Result<Requested, Unreachable> {
    let Change { gate, involved, text, version } = change;
    let proposer = (version.who.as_str(), "author");
    let excluded = excluded_as(people, std::iter::once(proposer).chain(involved.iter().copied()));
    let gates: Vec<Terms> = vec![gate.terms().clone()];
    if !could_satisfy(gate.terms(), &people.who_may_answer(&excluded, at)) {
        return Err(Unreachable::Quorum(gate.terms().name.clone()));
    }
    let seconds = i64::try_from(gate.terms().respond_s).unwrap_or(i64::MAX);
    let respond_by = at.plus_micros(seconds.saturating_mul(1_000_000));
    let call_sha256 = change_sha256(version);
    let note = people.person_of(&version.who).is_none().then(|| {
        format!(
            "`{}`, who proposes it, is no person of people.toml: nobody is left out for having proposed it",
            version.who
        )
    });
    let view = View {
        approval,
        asked_at: at,
        call_sha256: &call_sha256,
        difference: &version.difference,
        direction: version.direction,
        from: version.from.as_deref(),
        gates: [format!("{}: {gate}", gate.terms().name)],
        kind: version.object.kind.as_str(),
        name: &version.object.name,
        note: note.as_deref(),
        proposed_by: &version.who,
        respond_by,
        state: version.state.as_deref(),
        text,
        to: &version.to,
        tool: changed(version).to_string(),
        v: 1,
        why: &version.why,
    };
    // Writing plain fields cannot fail; an empty view has a digest that no reviewer is shown.
    let view: Arc<[u8]> = serde_json::to_vec(&view).unwrap_or_default().into();
    let record = ApprovalRecord {
        approval,
        call_sha256,
        covers_sha256: None,
        event: ApprovalEvent::Requested,
        facets: Vec::new(),
        gate: None,
        gates_sha256: gates_sha256(&gates),
        grant: None,
        question: Some(Question {
            args_bytes: text.len() as u64,
            args_sha256: sha256_hex(text.as_bytes()),
            excluded,
            follows: None,
            rules: vec![Rule { id: gate.terms().name.clone(), line: gate.line }],
            gates,
            respond_by,
            sentence: sentence(version, note.as_deref()),
            shown_sha256: sha256_hex(&view),
            standing: None,
        }),
        resolution: None,
        review: None,
        tool: changed(version),
        used: None,
        who: None,
        why: None,
    };
    Ok(Requested { record, view })
}

/// What would change, as far as it fits.
fn sentence(version: &VersionLog, note: Option<&str>) -> String {
    let VersionLog { difference, object, who, .. } = version;
    let whole = format!("`{who}` would change {} `{}`: {}", object.kind, object.name, difference.join("; "));
    let short: String = whole.chars().take(SENTENCE_CHARS_MAX).collect();
    let rest = if short.len() < whole.len() { " ..." } else { "" };
    let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
    format!("{short}{rest}{note}")
}

#[cfg(test)]
mod tests {
    use evidence::record::{VersionedKind, VersionedObject};

    use super::*;
    use crate::approve::parse_people;
    use crate::mission::parse_organisation;

    const ORGANISATION: &str =
        "organisation = 'c'\nwhy = 'x'\n[changes]\ngroup = 'leads'\n[changes.people]\ngroup = 'board'\nneed = 2\n";

    fn version(who: &str) -> VersionLog {
        VersionLog {
            approval: None,
            difference: vec!["agent `b` may now act".into()],
            direction: Some(Direction::Wider),
            from: Some("aa".into()),
            object: VersionedObject { kind: VersionedKind::Mission, name: "m".into() },
            state: None,
            to: "bb".into(),
            who: who.into(),
            why: "more work".into(),
        }
    }

    fn asked(who: &str, people: &str) -> Result<Requested, Unreachable> {
        let organisation = parse_organisation(ORGANISATION).unwrap();
        let version = version(who);
        let gate = organisation.change_gate(VersionedKind::Mission).unwrap();
        let change = Change { gate, involved: &[("olga@c", "owner")], text: "new", version: &version };
        change_question(
            change,
            &parse_people(people).unwrap(),
            ApprovalId::from_bytes([7; 16]),
            Timestamp::from_micros(0),
        )
    }

    const PEOPLE: &str = "why = 'x'\n[person.ana]\nalso = ['root']\n[person.bea]\n[person.olga]\nalso = ['olga@c']\n[group]\nleads = ['ana', 'bea', 'olga']\n";

    #[test]
    fn whoever_proposes_a_change_and_whoever_owns_the_mission_are_left_out() {
        let question = asked("root", PEOPLE).unwrap().record.question.unwrap();
        let left_out: Vec<_> = question.excluded.iter().map(|out| (&*out.person, &*out.role)).collect();
        assert_eq!(left_out, [("ana", "author"), ("olga", "owner")]);
        assert!(!question.sentence.contains("no person"), "{}", question.sentence);
        let question = asked("deploy", PEOPLE).unwrap().record.question.unwrap();
        assert_eq!(question.excluded.len(), 1);
        assert!(question.sentence.contains("`deploy`, who proposes it, is no person"), "{}", question.sentence);
        let alone = asked("root", &PEOPLE.replace("'ana', 'bea', 'olga'", "'ana', 'olga'"));
        assert_eq!(alone.unwrap_err(), Unreachable::Quorum("changes".into()));
    }

    #[test]
    fn each_kind_has_its_own_gate_or_the_one_of_all() {
        let organisation = parse_organisation(ORGANISATION).unwrap();
        let said = |kind| organisation.change_gate(kind).map(|gate| gate.terms().name.to_string());
        assert_eq!(said(VersionedKind::People).as_deref(), Some("changes-people"));
        for kind in [
            VersionedKind::Classes,
            VersionedKind::Key,
            VersionedKind::Mission,
            VersionedKind::Organisation,
            VersionedKind::Pin,
        ] {
            assert_eq!(said(kind).as_deref(), Some("changes"));
        }
        for kind in [VersionedKind::Attachment, VersionedKind::Halt, VersionedKind::Run] {
            assert_eq!(said(kind), None, "what ends something never waits");
        }
        for (bad, want) in [
            ("[changes]\nrespond_by = '1h'\n", "asks nobody"),
            ("[changes]\ngroup = 'x'\nhold = '1s'\n", "hold"),
            ("[changes]\ngroup = 'x'\nuses = 2\n", "uses"),
            ("[changes.people]\ngroup = 'x'\n", "asks nobody"),
            ("[changes]\ngroup = 'x'\n[changes.halts]\ngroup = 'x'\n", "halts"),
        ] {
            let error = parse_organisation(&format!("organisation = 'c'\nwhy = 'x'\n{bad}")).unwrap_err();
            assert!(error.render("f").contains(want), "{bad}: {}", error.render("f"));
        }
    }

    #[test]
    fn a_gate_of_changes_that_goes_or_changes_is_no_narrowing() {
        let of = |text: &str| parse_organisation(&format!("organisation = 'c'\nwhy = 'x'\n{text}")).unwrap();
        let (none, one, other) = (of(""), of("[changes]\ngroup = 'x'\n"), of("[changes]\ngroup = 'y'\n"));
        let way = |old: &crate::mission::Organisation, new: &crate::mission::Organisation| {
            crate::mission::overall(&new.changes(Some(old)))
        };
        assert_eq!(way(&none, &one), Some(Direction::Narrower));
        assert_eq!(way(&one, &none), Some(Direction::Wider));
        assert_eq!(way(&one, &other), Some(Direction::Unclear));
        assert_eq!(way(&one, &one), None);
    }
}
