mod endorsed;

use super::*;
use crate::checkpoint::{Checkpoint, KeyName};
use crate::examples::{
    EMITTER, ORIGIN, at, call_id, context, decision, intent, outcome, record_id, send_money, started, written,
};
use crate::record::{
    ActionRecord, DecisionPoint, Draft, Effect, LedgerState, Obligation, Place, Status, Surface, VersionedKind, write,
};
use crate::tile::parse_hashes;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

const SALT: Salt = [0x42; 16];

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn origin() -> KeyName {
    ORIGIN.parse().unwrap()
}

fn verifier() -> VerifierKey {
    VerifierKey::new(origin(), signing().verifying_key())
}

/// A log as a store would hold it.
#[derive(Clone, Default)]
struct Log {
    records: Vec<Vec<u8>>,
    files: BTreeMap<String, Vec<u8>>,
    checkpoints: Vec<String>,
}

impl Log {
    fn of(bodies: &[(Option<u64>, Body)]) -> Self {
        let mut log = Self::default();
        for (call, body) in bodies {
            log.push(*call, body.clone());
        }
        log.publish();
        log
    }

    fn push(&mut self, call: Option<u64>, body: impl Into<Body>) {
        let seq = self.records.len() as u64 + 1;
        self.records.push(written(&Draft::new(context(), call.map(call_id), at(seq), body), seq));
    }

    /// Writes tiles and a checkpoint for all records.
    fn publish(&mut self) {
        let mut builder = TileBuilder::new();
        for bytes in &self.records {
            let record = record::read(bytes).unwrap();
            let leaf = Leaf {
                commitment: hex::encode(commitment(&SALT, bytes)),
                emitter: record.emitter,
                id: record.id,
                schema: record.schema,
                seq: record.seq,
                record_type: record.record_type,
            };
            builder.push(&leaf.entry().unwrap()).unwrap();
        }
        for Tile { tile, bytes } in builder.unwritten().unwrap() {
            self.files.insert(tile.path(), bytes);
        }
        let checkpoint = Checkpoint { origin: origin(), size: builder.size(), root: builder.root() };
        self.checkpoints.push(checkpoint.sign(&signing(), &origin()));
    }

    fn check(&self) -> Report {
        let files = &self.files;
        let mut check = LedgerCheck::new(verifier(), Some(Box::new(|tile: TileRef| files.get(&tile.path()).cloned())));
        for note in &self.checkpoints {
            check.checkpoint(note.as_bytes()).unwrap();
        }
        for (n, bytes) in self.records.iter().enumerate() {
            check.record(self.start(n), &SALT, bytes);
        }
        check.finish()
    }

    /// Where record `n`, from 0, starts: as in a file of one record after the other.
    fn start(&self, n: usize) -> u64 {
        self.records[..n].iter().map(|bytes| bytes.len() as u64).sum()
    }

    fn findings(&self) -> Vec<String> {
        self.check().findings.iter().map(ToString::to_string).collect()
    }
}

fn allow(args: u8) -> Body {
    decision(Effect::Allow, send_money(), args).into()
}

fn call(n: u64) -> Vec<(Option<u64>, Body)> {
    vec![
        (Some(n), allow(1)),
        (Some(n), intent(send_money(), 1).into()),
        (Some(n), outcome(send_money(), 1, Status::Done).into()),
    ]
}

fn a_log(calls: u64) -> Log {
    let mut bodies = vec![(None, started(0).into())];
    bodies.extend((0..calls).flat_map(call));
    Log::of(&bodies)
}

#[test]
fn a_whole_log_is_sound() {
    let mut log = a_log(100);
    let mid = log.records.len() as u64;
    log.push(Some(100), decision(Effect::Deny, send_money(), 1));
    log.push(Some(101), allow(1));
    log.push(Some(101), intent(send_money(), 1));
    log.publish();
    log.push(None, started(mid + 3));

    let report = log.check();
    assert!(report.is_sound(), "{:?}", log.findings());
    assert_eq!((report.records, report.checkpoints, report.proved), (mid + 4, 2, mid + 3));
    assert_eq!(report.types[&RecordType::ActionRecord], 201);
    let open: Vec<_> = report.open_intents.iter().map(|open| (open.seq, open.call, open.attempt)).collect();
    assert_eq!(open, [(mid + 3, call_id(101), 1)]);
    assert!(report.root.is_some());
    assert!(Log::of(&[]).check().is_sound());
}

#[test]
fn damage_is_found_and_named() {
    let log = a_log(100);
    let start = |n| log.start(n);
    let changed = |n: usize, from: &str, to: &str| {
        let mut log = log.clone();
        let text = String::from_utf8(log.records[n].clone()).unwrap();
        assert!(text.contains(from), "{text}");
        log.records[n] = text.replacen(from, to, 1).into_bytes();
        log
    };
    let root = "the records up to here do not give the root that the checkpoint of size 301 signs; the damage is after record 0";
    let place = |from: &str| String::from_utf8(log.records[7].clone()).unwrap().find(from).unwrap() as u64;

    let cases: Vec<(Log, Vec<String>)> = vec![
        // A well-formed change: the bundle tells which record, the checkpoint that it matters.
        (
            changed(7, "\"amount\"", "\"amounT\""),
            vec![
                format!(
                    "record 8, byte {}: it is not the record that the entry in tile `tile/entries/000` commits to",
                    start(7)
                ),
                "tile `tile/0/000` differs from the records at its byte 224".into(),
                "tile `tile/1/000.p/1` differs from the records at its byte 0".into(),
                format!("record 301: {root}"),
            ],
        ),
        // In the last, partial bundle.
        (
            changed(300, "183250", "183251"),
            vec![
                format!(
                    "record 301, byte {}: it is not the record that the entry in tile `tile/entries/001.p/45` commits to",
                    start(300)
                ),
                "tile `tile/0/001.p/45` differs from the records at its byte 1408".into(),
                format!("record 301: {root}"),
            ],
        ),
        // Another spelling, an unknown field, a broken body: the byte itself.
        (
            changed(7, ",\"correlation\"", ", \"correlation\""),
            vec![
                format!(
                    "record 8, byte {}: record bytes are not canonical (RFC 8785) at byte {}",
                    start(7) + place("\"correlation\""),
                    place("\"correlation\"")
                ),
                format!("record 9, byte {}: call", start(8) + 1),
                format!("record 10, byte {}: call", start(9) + 1),
                "the checkpoint of size 301 cannot be compared: a record before it cannot be read".into(),
            ],
        ),
        // The end is cut off.
        (
            {
                let mut log = log.clone();
                log.records.truncate(298);
                log
            },
            vec!["a signed checkpoint covers 301 records, but the log ends after 298".into()],
        ),
    ];
    for (log, want) in cases {
        let found = log.findings();
        assert_eq!(found.len(), want.len(), "{found:#?}");
        for (found, want) in found.iter().zip(&want) {
            assert!(found.starts_with(want), "{found}\n{want}");
        }
    }
}

#[test]
fn the_first_bad_byte_of_an_unreadable_record() {
    let log = a_log(2);
    let text = String::from_utf8(log.records[1].clone()).unwrap();
    for (from, to, bad, want) in [
        ("{\"agent\"", "!\"agent\"", 0, "expected value"),
        ("\"effect\":\"allow\"", "\"effect\":\"allov\"", 15, "unknown variant `allov`"),
        ("\"args_bytes\":61", "\"args_bytes\":6x", 14, "expected `,` or `}`"),
        ("\"schema\":1", "\"schemas\":1", 8, "unknown field `schemas`"),
        ("\"schema\":1", "\"schema\":9", usize::MAX, "newer version"),
    ] {
        let place = text.find(from).unwrap();
        let mut log = log.clone();
        log.records[1] = text.replacen(from, to, 1).into_bytes();
        let report = log.check();
        let Finding { seq, byte, flaw } = &report.findings[0];
        let want_byte = if bad == usize::MAX { log.start(1) } else { log.start(1) + (place + bad) as u64 };
        assert_eq!((*seq, *byte), (Some(2), Some(want_byte)), "{flaw}");
        assert!(flaw.to_string().contains(want), "{flaw}");
    }
}

#[test]
fn moved_missing_and_foreign_records_are_found() {
    let first = |log: Log| log.findings().into_iter().next().unwrap();
    let mut gap = a_log(3);
    gap.records.remove(4);
    assert!(first(gap.clone()).ends_with("it says that it is record 6"), "{:?}", gap.findings());
    assert_eq!(gap.findings().iter().filter(|found| found.contains("it says that it is")).count(), 1);
    let mut twice = a_log(3);
    let again = twice.records[4].clone();
    twice.records.insert(5, again);
    assert!(first(twice).ends_with("it says that it is record 5"));
    let mut swapped = a_log(3);
    swapped.records.swap(1, 4);
    assert!(first(swapped).contains("record 2, "));

    let draft = |n| Draft::new(context(), None, at(n), started(n - 1));
    let mut out = Vec::new();
    let mut back = Log::of(&[(None, started(0).into())]);
    write(&draft(2), Place { emitter: EMITTER, id: record_id(2), recorded_at: at(0), seq: 2 }, &mut out).unwrap();
    back.records.push(out);
    assert!(first(back).contains("before its predecessor at 2026-11-23T09:30:00.001000Z"));
    let mut out = Vec::new();
    let mut foreign = Log::of(&[(None, started(0).into())]);
    write(&draft(2), Place { emitter: "cs-other", id: record_id(2), recorded_at: at(2), seq: 2 }, &mut out).unwrap();
    foreign.records.push(out);
    assert!(first(foreign).contains("from the log `cs-other`, not `cs-3f9a51c2`"));
    assert!(first(Log::of(&[(None, started(5).into())])).contains("says that 5 records are before it"));
    let other = LedgerState { origin: "other.example".into(), ..started(0) };
    assert!(first(Log::of(&[(None, other.into())])).contains("the origin `other.example`"));
}

#[test]
fn acts_without_their_records_are_found() {
    let with = |tool: &str, mut action: ActionRecord| {
        action.tool.name = tool.into();
        action
    };
    let (id, tool) = (call_id(1), send_money);
    let ask = || Body::from(decision(Effect::Ask, tool(), 1));
    let deny = || Body::from(decision(Effect::Deny, tool(), 1));
    let doing = || Body::from(intent(tool(), 1));
    let done = || Body::from(outcome(tool(), 1, Status::Done));
    let not_allowed = format!("call {id} has an intent, but no decision before it allows the call");
    let no_intent = format!("call {id} has an outcome for attempt 1, which has no open intent");
    let not_decided = "with another tool or other arguments than decision";
    let not_intended = "with another tool or other arguments than its intent at record 2";
    let mut redacted = decision(Effect::Allow, tool(), 1);
    redacted.obligations = vec![Obligation { kind: "redact".into(), target: "arguments".into() }];
    let mut released = decision(Effect::Deny, tool(), 1);
    released.point = DecisionPoint::Release;
    let statusless = ActionRecord { status: None, ..outcome(tool(), 1, Status::Done) };
    let early = ActionRecord { status: Some(Status::Done), ..intent(tool(), 1) };
    let retry = ActionRecord { attempt: 2, ..intent(tool(), 1) };

    let other = Some("ab".repeat(32));
    let mut turned = decision(Effect::Allow, tool(), 1);
    turned.input.sent_sha256.clone_from(&other);
    let sends = ActionRecord { sent_sha256: other.clone(), ..intent(tool(), 1) };
    let sent_late = ActionRecord { sent_sha256: other, ..outcome(tool(), 1, Status::Done) };

    let cases: Vec<(Vec<Body>, Option<&str>)> = vec![
        (vec![allow(1), doing(), done()], None),
        (vec![turned.clone().into(), sends.clone().into(), done()], None),
        (vec![turned.into(), doing()], Some(not_decided)),
        (vec![allow(1), sends.into()], Some(not_decided)),
        (vec![allow(1), doing(), sent_late.into()], Some("an outcome has a status")),
        (vec![ask(), allow(1), doing(), done()], None),
        (vec![allow(1), doing(), released.into(), done()], None),
        (vec![redacted.into(), intent(tool(), 9).into(), outcome(tool(), 9, Status::Done).into()], None),
        (vec![allow(1), doing(), done(), allow(1), retry.clone().into()], None),
        (vec![allow(1), doing(), retry.clone().into(), done()], None),
        (vec![doing()], Some(&not_allowed)),
        (vec![deny(), doing()], Some(&not_allowed)),
        (vec![ask(), doing()], Some(&not_allowed)),
        (vec![allow(1), deny(), doing()], Some(&not_allowed)),
        (vec![doing(), allow(1)], Some(&not_allowed)),
        (vec![allow(1), doing(), done(), retry.into()], Some(&not_allowed)),
        (vec![allow(1), doing(), done(), doing()], Some(&not_allowed)),
        (vec![allow(1), doing(), doing()], Some("a second intent for attempt 1")),
        (vec![allow(1), done()], Some(&no_intent)),
        (vec![done()], Some(&no_intent)),
        (vec![allow(1), doing(), done(), done()], Some(&no_intent)),
        (vec![allow(1), intent(tool(), 2).into()], Some(not_decided)),
        (vec![allow(1), with("other", intent(tool(), 1)).into()], Some(not_decided)),
        (vec![allow(1), doing(), outcome(tool(), 2, Status::Done).into()], Some(not_intended)),
        (vec![allow(1), doing(), with("other", outcome(tool(), 1, Status::Done)).into()], Some(not_intended)),
        (vec![allow(1), doing(), statusless.into()], Some("an outcome has a status")),
        (vec![allow(1), early.into()], Some("an intent has no status")),
    ];
    for (bodies, want) in cases {
        let last = bodies.len() as u64;
        let log = Log::of(&bodies.into_iter().map(|body| (Some(1), body)).collect::<Vec<_>>());
        let (report, found) = (log.check(), log.findings());
        match want {
            None => assert_eq!(found, Vec::<String>::new()),
            Some(want) => {
                assert!(found.iter().any(|found| found.contains(want)), "{found:?} {want}");
                let seqs: Vec<_> = report.findings.iter().map(|finding| finding.seq).collect();
                assert!(seqs.contains(&Some(last)) || want == not_allowed, "{seqs:?}");
            }
        }
    }
    let nameless = Log::of(&[(None, allow(1)), (None, doing())]);
    assert!(nameless.findings()[0].ends_with("it is an action but names no call"));
}

#[test]
fn tiles_that_a_checkpoint_needs_must_be_there() {
    let whole = a_log(100);
    let without = |path: &str| {
        let mut log = whole.clone();
        log.files.remove(path).unwrap();
        log.findings()
    };
    for path in ["tile/entries/000", "tile/0/000", "tile/0/001.p/45", "tile/1/000.p/1", "tile/entries/001.p/45"] {
        assert_eq!(without(path), [format!("tile `{path}` is missing; rebuild it from the records")]);
    }
    let mut swapped = whole.clone();
    swapped.files.get_mut("tile/0/000").unwrap()[5_000] ^= 1;
    assert_eq!(swapped.findings(), ["tile `tile/0/000` differs from the records at its byte 5000"]);
    let mut short = whole.clone();
    short.files.get_mut("tile/0/000").unwrap().truncate(320);
    assert_eq!(short.findings(), ["tile `tile/0/000` differs from the records at its byte 320"]);

    // A partial tile may go once the complete one is there, and tiles after the last checkpoint may be missing.
    let mut grown = whole.clone();
    for n in 100..200 {
        call(n).into_iter().for_each(|(call, body)| grown.push(call, body));
    }
    assert_eq!(grown.findings(), Vec::<String>::new());
    let mut published = grown.clone();
    published.publish();
    published.checkpoints.pop();
    published.files.remove("tile/0/001.p/45").unwrap();
    assert_eq!(published.findings(), Vec::<String>::new());
    assert_eq!(parse_hashes(&published.files["tile/0/001"], 256).unwrap().len(), 256);
}

#[test]
fn checkpoints_must_be_signed_by_the_log() {
    let log = a_log(1);
    let note = log.checkpoints[0].clone();
    let thief = SigningKey::from_bytes(&[8; 32]);
    let checkpoint = Checkpoint::open(note.as_bytes(), &verifier()).unwrap();

    let mut forged = log.clone();
    forged.checkpoints = vec![Checkpoint { root: [1; 32], ..checkpoint.clone() }.sign(&thief, &origin())];
    assert!(forged.findings()[0].starts_with("the note has no signature by"));
    let mut altered = log.clone();
    altered.checkpoints = vec![note.replace("\n4\n", "\n3\n")];
    assert!(altered.findings()[0].ends_with("is false"), "{:?}", altered.findings());
    // The log itself signed two stories.
    let mut split = log.clone();
    split.checkpoints.push(Checkpoint { root: [1; 32], ..checkpoint.clone() }.sign(&signing(), &origin()));
    let report = split.check();
    assert_eq!((report.checkpoints, report.findings.len()), (1, 1));

    let mut check = LedgerCheck::new(verifier(), None);
    log.records.iter().for_each(|bytes| check.record(0, &SALT, bytes));
    let early = Checkpoint { size: 3, ..checkpoint }.sign(&signing(), &origin());
    assert!(check.checkpoint(early.as_bytes()).is_err(), "it is given too late");
}

#[test]
fn findings_are_bounded() {
    let mut log = Log::default();
    for _ in 0..FINDINGS_MAX + 5 {
        log.records.push(b"{}".to_vec());
    }
    let report = log.check();
    assert_eq!((report.findings.len(), report.findings_omitted), (FINDINGS_MAX, 5));
    assert_eq!(report.root, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_is_found(at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut log = a_log(3);
        let sizes: Vec<_> = log.records.iter().map(Vec::len).collect();
        let mut at = at.index(sizes.iter().sum());
        let bad = at as u64;
        for bytes in &mut log.records {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
                break;
            }
            at -= bytes.len();
        }
        let report = log.check();
        let byte = report.findings.iter().find_map(|finding| finding.byte);
        // Without its first quote, a digest of digits alone is a number up to its end.
        prop_assert!(byte.is_some_and(|byte| byte <= bad + 66), "{byte:?} {bad}");
    }

    #[test]
    fn hostile_logs_do_not_panic(records in prop::collection::vec(any::<Vec<u8>>(), 0..9), notes in prop::collection::vec(any::<Vec<u8>>(), 0..3)) {
        let mut check = LedgerCheck::new(verifier(), Some(Box::new(|_| Some(vec![1]))));
        for note in &notes {
            check.checkpoint(note).unwrap();
        }
        for bytes in &records {
            check.record(u64::MAX, &SALT, bytes);
        }
        prop_assert_eq!(check.finish().records, records.len() as u64);
    }
}

/// A log of the approvals in the examples, after `change` of its records.
fn approvals_with(change: impl FnOnce(&mut Vec<Draft>)) -> Vec<String> {
    let is_theirs = |draft: &Draft| [Some(call_id(9)), Some(call_id(12))].contains(&draft.call);
    let is_ours = |draft: &Draft| match &draft.body {
        Body::Approval(approval) => approval.tool.surface != Surface::Change,
        Body::Exception(exception) => exception.kind == crate::record::ExceptionKind::BreakGlass,
        Body::Version(version) => version.object.kind == VersionedKind::Key,
        Body::Action(_) => is_theirs(draft),
        Body::Decision(decision) => is_theirs(draft) && decision.effect == Effect::Allow,
        _ => false,
    };
    let mut drafts: Vec<Draft> = crate::examples::story().into_iter().filter(is_ours).collect();
    change(&mut drafts);
    let mut log = Log::default();
    log.push(None, started(0));
    for draft in drafts {
        let seq = log.records.len() as u64 + 1;
        log.records.push(written(&draft, seq));
    }
    log.publish();
    log.findings()
}

fn approval(draft: &mut Draft) -> &mut crate::record::approval::ApprovalRecord {
    match &mut draft.body {
        Body::Approval(approval) => approval,
        other => panic!("{other:?}"),
    }
}

fn exception(draft: &mut Draft) -> &mut crate::record::ExceptionRecord {
    match &mut draft.body {
        Body::Exception(exception) => exception,
        other => panic!("{other:?}"),
    }
}

/// The last record of an approval's event.
fn last<'a>(drafts: &'a mut [Draft], event: &str) -> &'a mut Draft {
    let is_it =
        |draft: &&mut Draft| matches!(&draft.body, Body::Approval(approval) if approval.event.as_str() == event);
    drafts.iter_mut().rev().find(is_it).unwrap()
}

#[test]
fn approvals_follow_from_signed_answers() {
    assert_eq!(approvals_with(|_| {}), Vec::<String>::new());
    type Change = fn(&mut Vec<Draft>);
    let changes: [(&str, Change, &str); 25] = [
        (
            "another answer",
            |drafts| {
                approval(&mut drafts[4]).review.as_mut().unwrap().reason.push('!');
            },
            "its signature is not of this answer",
        ),
        (
            "another reviewer",
            |drafts| {
                approval(&mut drafts[4]).review.as_mut().unwrap().reviewer = "dan".into();
            },
            "its key is no confirmed key of the reviewer",
        ),
        (
            "no signature",
            |drafts| {
                approval(&mut drafts[4]).review.as_mut().unwrap().signature = None;
            },
            "it says by its assurance that a key signed",
        ),
        ("a key that nobody confirmed", |drafts| drop(drafts.remove(0)), "its key is no confirmed key of the reviewer"),
        ("an answer left out", |drafts| drop(drafts.remove(4)), "it does not follow from the answers"),
        ("an answer given twice", |drafts| drafts.insert(5, drafts[4].clone()), "this very answer was given before"),
        (
            "a use left out",
            |drafts| {
                approval(&mut drafts[7]).used = Some(2);
            },
            "it does not follow from the answers",
        ),
        ("an escalation twice", |drafts| drafts.insert(4, drafts[3].clone()), "it does not follow from the answers"),
        ("glass without its exception", |drafts| drop(drafts.remove(14)), "glass was broken, and no exception"),
        (
            "more time for the review",
            |drafts| exception(&mut drafts[14]).due = Some(at(1_000_000_000)),
            "glass was broken, and no exception",
        ),
        (
            "other words of the reviewer",
            |drafts| exception(&mut drafts[17]).note = Some("Fine.".to_owned()),
            "its signature is not of this answer",
        ),
        ("a review that nobody signed", |drafts| exception(&mut drafts[17]).signed = None, "one of the groups"),
        (
            "glass broken while a review is overdue",
            |drafts| {
                let mut again = drafts[12..14].to_vec();
                for draft in &mut again {
                    draft.occurred_at = at(1_000_000_000);
                    let record = approval(draft);
                    record.approval = crate::ids::ApprovalId::from_bytes([9; 16]);
                    if let Some(question) = &mut record.question {
                        question.respond_by = at(1_000_000_001);
                    }
                }
                drafts.extend(again);
            },
            "the review of an earlier one of the mission was overdue",
        ),
        ("a use twice", |drafts| drafts.insert(8, drafts[7].clone()), "the approval is used up"),
        (
            "another call",
            |drafts| {
                approval(&mut drafts[7]).call_sha256 = crate::examples::sha256(1);
            },
            "it is about another call",
        ),
        (
            "a use for another call than the one decided",
            |drafts| approval(last(drafts, "consumed")).covers_sha256 = Some(crate::examples::sha256(1)),
            "right before it no decision allows",
        ),
        (
            "a use of a standing grant as if it were of a call",
            |drafts| approval(last(drafts, "consumed")).covers_sha256 = None,
            "it does not follow from the answers",
        ),
        (
            "a use beyond the sums",
            |drafts| {
                let used = approval(last(drafts, "consumed"));
                used.facets[0].values[0].text = "14401".into();
            },
            "more than the standing grant covers",
        ),
        (
            "more uses than the gate gives",
            |drafts| {
                let asked = drafts.iter_mut().map(|draft| &mut draft.body).find_map(|body| match body {
                    Body::Approval(approval) => {
                        approval.question.as_mut().filter(|question| question.standing.is_some())
                    }
                    _ => None,
                });
                asked.unwrap().standing.as_mut().unwrap().uses = 101;
            },
            "it does not follow from the answers",
        ),
        (
            "an edited call whose editor may answer the next",
            |drafts| {
                let asked = drafts.iter_mut().map(|draft| &mut draft.body).find_map(|body| match body {
                    Body::Approval(approval) => {
                        approval.question.as_mut().filter(|question| question.follows.is_some())
                    }
                    _ => None,
                });
                asked.unwrap().excluded.retain(|excluded| excluded.role != "editor");
            },
            "whoever edited it may answer",
        ),
        ("an outcome delivered twice", |drafts| drafts.push(drafts[10].clone()), "was delivered already"),
        (
            "the outcome of no use",
            |drafts| {
                approval(&mut drafts[10]).used = Some(2);
            },
            "no use with this number was consumed",
        ),
        ("an outcome that is not there", |drafts| drop(drafts.remove(9)), "the outcome of an execution that has none"),
        ("an outcome before it is there", |drafts| drafts.swap(9, 10), "the outcome of an execution that has none"),
        (
            "what never ran handed out again",
            |drafts| {
                let mut again = drafts[6].clone();
                let Body::Decision(replay) = &mut again.body else { panic!("{drafts:?}") };
                replay.point = crate::record::DecisionPoint::Release;
                replay.reasons = vec!["replayed".into()];
                drafts.insert(8, again);
            },
            "the outcome of an execution that has none",
        ),
    ];
    for (what, change, want) in changes {
        let findings = approvals_with(change);
        assert!(findings.iter().any(|finding| finding.contains(want)), "{what}: {findings:?}");
    }
}

/// A log of one change that was approved, after `change` of its records: the key, what was asked, answered, resolved and used, and the version.
fn change_with(change: impl FnOnce(&mut Vec<Body>)) -> Vec<String> {
    let story = crate::examples::story().into_iter().map(|draft| draft.body);
    let is_ours = |body: &Body| match body {
        Body::Approval(approval) => approval.tool.surface == Surface::Change,
        Body::Version(_) => true,
        _ => false,
    };
    let mut bodies: Vec<Body> = story.filter(is_ours).collect();
    assert_eq!(bodies.len(), 6);
    change(&mut bodies);
    let mut log = Log::default();
    log.push(None, started(0));
    for body in bodies {
        let seq = log.records.len() as u64 + 1;
        log.records.push(written(&Draft::new(context(), None, at(9), body), seq));
    }
    log.publish();
    log.findings()
}

fn version(body: &mut Body) -> &mut crate::record::VersionLog {
    match body {
        Body::Version(version) => version,
        other => panic!("{other:?}"),
    }
}

fn change_use(body: &mut Body) -> &mut crate::record::approval::ApprovalRecord {
    match body {
        Body::Approval(approval) => approval,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_that_was_approved_stands_right_after_the_use_of_its_approval() {
    assert_eq!(change_with(|_| {}), Vec::<String>::new());
    type Change = fn(&mut Vec<Body>);
    const UNAPPROVED: &str = "no use of it for this very change is right before it";
    const IDLE: &str = "it is not that change";
    let changes: [(&str, Change, &str); 9] = [
        ("another version", |bodies| version(&mut bodies[5]).to = "sha256:0".into(), UNAPPROVED),
        ("another version before", |bodies| version(&mut bodies[5]).from = None, UNAPPROVED),
        ("another mission", |bodies| version(&mut bodies[5]).object.name = "other".into(), UNAPPROVED),
        ("somebody else's", |bodies| version(&mut bodies[5]).who = "bea".into(), UNAPPROVED),
        ("no use", |bodies| drop(bodies.remove(4)), UNAPPROVED),
        ("a use for nothing", |bodies| drop(bodies.pop()), IDLE),
        ("a version that keeps it to itself", |bodies| version(&mut bodies[5]).approval = None, IDLE),
        ("something in between", |bodies| bodies.insert(5, bodies[0].clone()), UNAPPROVED),
        ("a use of another surface", |bodies| change_use(&mut bodies[4]).tool.surface = Surface::Mcp, "another call"),
    ];
    for (what, change, want) in changes {
        let findings = change_with(change);
        assert!(findings.iter().any(|finding| finding.contains(want)), "{what}: {findings:?}");
    }
}
