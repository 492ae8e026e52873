//! What the ledger makes of a disk that fails and forgets.
//!
//! The durable-write table: one story is told once to learn every write, sync and rename it makes, and then again for each of them and each way in which it can go
//! wrong. The simulation: random stories, each cut short again and again at random moments, also during recovery. Always the same questions afterwards: is every
//! acknowledged record where its receipt says, was anything acknowledged after a failure, does the ledger verify.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evidence::filter::Filter;
use evidence::ids::CallId;
use evidence::record::{
    ActionEvent, ActionRecord, Body, Context, DecisionInput, DecisionPoint, DecisionRecord, Draft, Effect, EffectClass,
    Endpoint, Policy, Receipt, Record, Status, Surface, Tool,
};
use evidence::time::Timestamp;
use store::embedded::index::IndexPlace;
use store::ports::{Disk, Entropy};
use store::{AppendError, Health, Integration, Ledger, OpenError, Options, Order, Reader};
use testkit::disk::{Fault, FaultyDisk, Keep, Op, Operation};
use testkit::random::Random;

/// Everything on one thread, in one order, with small segments and frequent notes, so that a short story crosses every kind of write.
fn options(seed: u64) -> Options {
    let clock = AtomicU64::new(0);
    let clock =
        move || Timestamp::from_micros(1_795_426_200_000_000 + clock.fetch_add(1_000, Ordering::Relaxed) as i64);
    Options {
        segment_bytes: 64 * 1024,
        note_records: 40,
        integration: Integration::AfterEachGroup,
        ..Options::new(Arc::new(clock), Box::new(Seeded(Random::new(seed))))
    }
}

struct Seeded(Random);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> std::io::Result<()> {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.next_u64().to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

fn open(disk: &FaultyDisk, seed: u64) -> Result<Ledger, OpenError> {
    Ledger::open_on(Arc::new(disk.clone()), IndexPlace::Memory, options(seed))
}

/// Decision and intent of call `n`, padded so that groups differ in size.
fn begun(n: u64, padding: usize) -> Vec<Draft> {
    let decision = DecisionRecord {
        approval: None,
        effect: Effect::Allow,
        gates: Vec::new(),
        input: DecisionInput {
            args_bytes: 2,
            args_sha256: "00".repeat(32),
            call_sha256: "11".repeat(32),
            confirmed: None,
            counters: Vec::new(),
            data_fields: Vec::new(),
            facets: vec![],
            met: Vec::new(),
            provenance: Vec::new(),
            sent_sha256: None,
            tool: tool(),
        },
        obligations: vec![],
        point: DecisionPoint::Call,
        policy: Policy { mission_sha256: "22".repeat(32).into(), organisation_sha256: None, slice_sha256: None },
        reasons: vec![],
        rules: vec![],
        sentence: "x".repeat(padding),
        would: None,
    };
    vec![draft(n, decision.into()), draft(n, action(ActionEvent::Intent, None).into())]
}

fn ended(n: u64) -> Vec<Draft> {
    vec![draft(n, action(ActionEvent::Outcome, Some(Status::Done)).into())]
}

fn action(event: ActionEvent, status: Option<Status>) -> ActionRecord {
    ActionRecord {
        args_sha256: "00".repeat(32),
        attempt: 1,
        captured: Vec::new(),
        counted: Vec::new(),
        duration_us: None,
        effect_class: EffectClass::Write,
        event,
        external_reference: None,
        input_sha256: None,
        reason: None,
        reported: None,
        result_bytes: None,
        result_sha256: None,
        sent_sha256: None,
        status,
        tool: tool(),
    }
}

fn tool() -> Tool {
    Tool { endpoint: Endpoint::Tool, name: "send_money".into(), surface: Surface::Mcp, upstream: "bank".into() }
}

fn draft(n: u64, body: Body) -> Draft {
    let at = Timestamp::from_micros(1_795_426_200_000_000);
    let [a, b, c, d, e, f, g, h] = n.to_be_bytes();
    let call = CallId::at(at, [a, b, c, d, e, f, g, h, 0, 0]);
    Draft::new(Arc::new(Context::system()), Some(call), at, body)
}

/// What one process did with the ledger, and what it was promised.
#[derive(Default)]
struct Promised(Vec<Receipt>);

impl Promised {
    /// Appends until something fails; then checks that everything fails from there on.
    fn append(&mut self, ledger: &Ledger, stories: impl Iterator<Item = Vec<Draft>>) {
        let mut failed = false;
        for drafts in stories {
            match ledger.append_blocking(drafts) {
                Ok(receipts) => {
                    assert!(!failed, "a record was acknowledged after a failure");
                    assert_eq!(ledger.health(), Health::Ready);
                    self.0.extend(receipts);
                }
                Err(error) => {
                    assert!(matches!(error, AppendError::Degraded { .. }), "{error}");
                    assert!(matches!(ledger.health(), Health::Degraded { .. }));
                    failed = true;
                }
            }
        }
    }

    /// Opens what is left, closes it, and checks that every promise was kept and that the ledger verifies.
    fn check(&self, disk: &FaultyDisk, seed: u64, told: &dyn Fn() -> String) {
        let ledger = open(disk, seed).unwrap_or_else(|error| panic!("{}: {error}", told()));
        ledger.append_blocking(begun(u64::MAX, 10)).unwrap_or_else(|error| panic!("{}: {error}", told()));
        ledger.append_blocking(ended(u64::MAX)).unwrap();
        ledger.close_blocking().unwrap_or_else(|error| panic!("{}: {error}", told()));
        let report = store::ledger::fsck_on(disk).unwrap_or_else(|error| panic!("{}: {error}", told()));
        assert!(report.is_sound(), "{}: {report}", told());
        assert!(report.evidence.open_intents.is_empty() && report.unfinished.is_none(), "{}: {report}", told());
        let records: BTreeMap<u64, Record> = all(disk).into_iter().map(|record| (record.seq, record)).collect();
        assert_eq!(records.len() as u64, report.records());
        for receipt in &self.0 {
            let record = records.get(&receipt.seq);
            let kept =
                record.is_some_and(|record| (record.id, record.recorded_at) == (receipt.id, receipt.recorded_at));
            assert!(kept, "{}: record {} was acknowledged and is gone", told(), receipt.seq);
        }
    }
}

fn all(disk: &FaultyDisk) -> Vec<Record> {
    let reader = Reader::open_on(Arc::new(disk.clone()), &IndexPlace::Memory).unwrap();
    reader.query(&Filter::everything(), Order::OldestFirst, None).unwrap()
}

/// The story of the table: makes a ledger, appends across a segment's end, closes it, opens it again and goes on.
fn story(disk: &FaultyDisk) -> Promised {
    let mut promised = Promised::default();
    if let Ok(ledger) = open(disk, 1) {
        promised.append(&ledger, (0..9).map(|n| if n % 3 == 2 { ended(n - 1) } else { begun(n, 9_000) }));
        let _ = ledger.close_blocking();
        if let Ok(ledger) = open(disk, 2) {
            promised.append(&ledger, (20..28).map(|n| begun(n, 3_000)));
            // Left without closing: what it had in hand ends here.
        }
    }
    promised
}

/// What a write is for, by its path.
fn purpose(operation: &Operation) -> &'static str {
    let path = operation.path.as_str();
    for (part, purpose) in [
        ("segments/prepared", "segment being prepared"),
        (".seg", "group or segment name"),
        ("ledger/segments", "segment directory"),
        ("/tile/", "tile"),
        ("checkpoint", "checkpoint"),
        ("ledger/tree", "note of the tree"),
        ("keys", "key"),
        ("ledger/origin", "origin"),
    ] {
        if path.contains(part) {
            return purpose;
        }
    }
    "home"
}

#[test]
fn every_durable_write_may_fail_in_every_way() {
    let healthy = FaultyDisk::new();
    let told = story(&healthy);
    assert_eq!(told.0.len(), 6 * 2 + 3 + 8 * 2);
    let operations = healthy.operations();
    let mut kinds: BTreeMap<(&str, Op), usize> = BTreeMap::new();
    for operation in &operations {
        *kinds.entry((purpose(operation), operation.op)).or_default() += 1;
    }
    for wanted in [
        ("segment being prepared", Op::Create),
        ("segment being prepared", Op::Write),
        ("segment being prepared", Op::Sync),
        ("group or segment name", Op::Rename),
        ("group or segment name", Op::Write),
        ("group or segment name", Op::Sync),
        ("segment directory", Op::SyncDir),
        ("tile", Op::Write),
        ("tile", Op::Rename),
        ("tile", Op::Sync),
        ("tile", Op::SyncDir),
        ("checkpoint", Op::Write),
        ("checkpoint", Op::Sync),
        ("checkpoint", Op::Rename),
        ("note of the tree", Op::Sync),
        ("note of the tree", Op::Rename),
        ("key", Op::Sync),
        ("origin", Op::Sync),
        ("home", Op::SyncDir),
    ] {
        assert!(kinds.contains_key(&wanted), "the story has no {wanted:?}; it has {kinds:?}");
    }
    // Tiles and checkpoints are written after each group, always in the same way: a few of each kind are as good as all.
    let mut tried: BTreeMap<(&str, Op), usize> = BTreeMap::new();
    for (number, operation) in operations.iter().enumerate() {
        let count = tried.entry((purpose(operation), operation.op)).or_default();
        *count += 1;
        let repeated = matches!(purpose(operation), "tile" | "checkpoint") && *count > 3 && number % 31 != 0;
        if repeated {
            continue;
        }
        for fault in Fault::ALL.into_iter().filter(|fault| fault.befalls(operation.op)) {
            let disk = FaultyDisk::new();
            disk.fail(number, fault);
            let promised = story(&disk);
            for (what, left) in [
                ("a kill", disk.after_kill()),
                ("a power cut that loses all that was not synced", disk.after_power_cut(|| Keep::No)),
                ("a power cut that loses nothing", disk.after_power_cut(|| Keep::Yes)),
            ] {
                promised.check(&left, 3, &|| format!("operation {number} ({operation}) {fault:?}, then {what}"));
            }
        }
    }
}

#[test]
fn random_stories_cut_short_at_random_moments_keep_every_promise() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let from = number("COUNTERSIGN_SEED").unwrap_or(0);
    for seed in from..from + number("COUNTERSIGN_SEEDS").unwrap_or(60) {
        let mut random = Random::new(seed);
        let mut disk = FaultyDisk::new();
        let mut promised = Promised::default();
        let mut calls = 0;
        for life in 0..6 {
            let told = || format!("seed {seed} life {life} (COUNTERSIGN_SEED={seed} COUNTERSIGN_SEEDS=1 repeats it)");
            let fault = match random.below(4) {
                0 => Fault::ALL[random.below(Fault::ALL.len() as u64) as usize],
                _ => Fault::PowerCut,
            };
            // Early moments hit recovery, late ones the middle of the story.
            let bound = if random.one_in(3) { 40 } else { 900 };
            disk.fail(random.below(bound) as usize, fault);
            match open(&disk, random.next_u64()) {
                Ok(ledger) => {
                    let count = 1 + random.below(40);
                    let stories: Vec<_> = (0..count)
                        .map(|_| {
                            calls += 1;
                            let last = calls - 1;
                            if random.one_in(3) && last > 0 {
                                None
                            } else {
                                Some(begun(calls, random.below(9_000) as usize))
                            }
                        })
                        .collect();
                    promised.append(&ledger, stories.into_iter().flatten());
                    if random.one_in(3) {
                        let _ = ledger.close_blocking();
                    }
                }
                Err(OpenError::Recover(error)) => {
                    assert!(error.to_string().contains("test disk"), "{}: {error}", told())
                }
                Err(_) => {}
            }
            disk = match random.below(3) {
                0 => disk.after_kill(),
                _ => {
                    let mut luck = random.fork();
                    disk.after_power_cut(move || if luck.one_in(2) { Keep::Yes } else { Keep::No })
                }
            };
        }
        promised
            .check(&disk, seed, &|| format!("seed {seed} (COUNTERSIGN_SEED={seed} COUNTERSIGN_SEEDS=1 repeats it)"));
    }
}

#[test]
fn acknowledged_records_that_are_gone_are_noticed_and_nothing_is_changed() {
    let disk = FaultyDisk::new();
    let ledger = open(&disk, 1).unwrap();
    for n in 0..20 {
        ledger.append_blocking(begun(n, 100)).unwrap();
        ledger.append_blocking(ended(n)).unwrap();
    }
    ledger.close_blocking().unwrap();
    let segment = disk.list("ledger/segments").unwrap().pop().unwrap();
    let path = format!("ledger/segments/{segment}");
    let file = disk.open(&path, store::ports::Access::Write).unwrap();
    let mut bytes = vec![0; file.bytes().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for (from, to, want) in [
        // The end of the last group: as if its write had never finished.
        (end - 10, end + 1, "acknowledged records are missing"),
        // A group in the middle.
        (end / 2, end / 2 + 10, "a whole group follows"),
        // Everything.
        (4_096, end + 1, "acknowledged records are missing"),
        // The first page.
        (20, 30, "checksum of the segment's first page"),
    ] {
        let mut damaged = bytes.clone();
        damaged[from..to].fill(0);
        file.write_at(&damaged, 0).unwrap();
        let before = disk.operations().len();
        let error = open(&disk, 2).err().unwrap().to_string();
        assert!(error.contains(want) && error.contains(&path) && error.contains("nothing was changed"), "{error}");
        assert!(error.contains("countersign verify --ledger"), "{error}");
        let after = disk.operations();
        let changed: Vec<_> = after[before..].iter().filter(|operation| operation.op != Op::SyncDir).collect();
        assert!(changed.is_empty(), "{changed:?}");
        assert!(!store::ledger::fsck_on(&disk).unwrap().is_sound());
    }
    file.write_at(&bytes, 0).unwrap();
    assert!(store::ledger::fsck_on(&disk).unwrap().is_sound());
    open(&disk, 2).unwrap().close_blocking().unwrap();
}
