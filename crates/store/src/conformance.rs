//! What every backend of the ledger does, as tests: each takes a home that can be opened again and again.

mod filters;

use std::ops::ControlFlow;
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};
use std::time::{Duration, Instant};

use evidence::filter::{Filter, Term};
use evidence::ids::{CallId, RunId};
use evidence::record::{
    ActionEvent, ActionRecord, Agent, Authenticated, Body, Context, DecisionInput, DecisionPoint, DecisionRecord,
    Draft, Effect, EffectClass, Endpoint, ExceptionKind, Initiator, LedgerEvent, Policy, Record, Status, Surface, Tool,
    VersionLog, VersionedKind, VersionedObject,
};
use evidence::time::Timestamp;

use crate::embedded::index::IndexPlace;
use crate::limits::{APPEND_DRAFTS_MAX, SEGMENT_BYTES_MIN};
use crate::memory::MemoryDisk;
use crate::ports::{Access, Audience, Disk, Entropy};
use crate::{AppendError, Health, Integration, Ledger, Options, Order, Reader};

/// A place where a ledger can be opened, closed and opened again.
pub(crate) struct Home {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) index: IndexPlace,
    _directory: Option<tempfile::TempDir>,
}

impl Home {
    pub(crate) fn memory() -> Self {
        Self { disk: Arc::new(MemoryDisk::new()), index: IndexPlace::Memory, _directory: None }
    }

    pub(crate) fn embedded() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = crate::embedded::disk::HomeDisk::new(directory.path());
        let index = IndexPlace::File(disk.path(crate::ledger::INDEX));
        Self { disk: Arc::new(disk), index, _directory: Some(directory) }
    }

    pub(crate) fn open(&self) -> Ledger {
        self.open_with(options())
    }

    pub(crate) fn open_with(&self, options: Options) -> Ledger {
        Ledger::open_on(Arc::clone(&self.disk), self.index.clone(), options).unwrap()
    }

    /// This home as a killed process leaves it: every file as it is now, the index to be made anew.
    pub(crate) fn killed(&self) -> Self {
        let after = match self.index {
            IndexPlace::File(_) => Self::embedded(),
            IndexPlace::Memory | IndexPlace::Temporary => Self::memory(),
        };
        copy(&*self.disk, &*after.disk, "ledger");
        copy(&*self.disk, &*after.disk, "keys");
        after
    }

    pub(crate) fn fsck(&self) -> crate::ledger::Report {
        crate::ledger::fsck_on(&*self.disk).unwrap()
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open_on(Arc::clone(&self.disk), &self.index).unwrap()
    }
}

fn copy(from: &dyn Disk, to: &dyn Disk, path: &str) {
    let names = from.list(path);
    let Ok(names) = names.map(|names| names.into_iter().filter(|name| !name.starts_with("index.sqlite"))) else {
        let bytes = crate::ports::read_file(from, path, usize::MAX).unwrap();
        to.create(path, Audience::Owner).unwrap().write_at(&bytes, 0).unwrap();
        return;
    };
    let names: Vec<String> = names.collect();
    if names.is_empty() && from.open(path, Access::Read).is_ok_and(|file| file.bytes().is_ok()) {
        if let Ok(bytes) = crate::ports::read_file(from, path, usize::MAX) {
            to.create(path, Audience::Owner).unwrap().write_at(&bytes, 0).unwrap();
        }
        return;
    }
    to.create_dir(path).unwrap();
    names.iter().for_each(|name| copy(from, to, &format!("{path}/{name}")));
}

/// A clock that goes on by a millisecond with every look, and random bytes that are none.
pub(crate) fn options() -> Options {
    let clock = AtomicU64::new(0);
    let clock = move || at(clock.fetch_add(1, Ordering::Relaxed));
    Options { segment_bytes: SEGMENT_BYTES_MIN, ..Options::new(Arc::new(clock), Box::new(Counter(0))) }
}

/// Each byte sequence once.
pub(crate) struct Counter(pub(crate) u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) -> std::io::Result<()> {
        for chunk in out.chunks_mut(8) {
            self.0 += 1;
            chunk.copy_from_slice(&self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) fn at(n: u64) -> Timestamp {
    Timestamp::from_micros(1_795_426_200_000_000 + n as i64 * 1_000)
}

pub(crate) fn call(n: u64) -> CallId {
    CallId::at(at(n), [n as u8; 10])
}

fn context(mission: &str) -> Arc<Context> {
    Arc::new(Context {
        agent: Agent { name: "ap-bot".into(), version: Some("2.4.1".into()) },
        context: None,
        initiator: Initiator { authenticated: Authenticated::OsUser, name: "ana".into() },
        mission: Some(mission.into()),
        run: Some(RunId::at(at(0), [1; 10])),
    })
}

fn tool(name: &str) -> Tool {
    Tool { endpoint: Endpoint::Tool, name: name.into(), surface: Surface::Mcp, upstream: "bank".into() }
}

pub(crate) fn decision(n: u64, effect: Effect, name: &str) -> Draft {
    let reasons = if effect == Effect::Deny { vec!["tool_not_allowed".into(), "late".into()] } else { vec![] };
    let body = DecisionRecord {
        approval: None,
        effect,
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
            tool: tool(name),
        },
        obligations: vec![],
        point: DecisionPoint::Call,
        policy: Policy { mission_sha256: "22".repeat(32).into(), organisation_sha256: None, slice_sha256: None },
        reasons,
        rules: vec![],
        sentence: "Because.".into(),
        would: None,
    };
    let data_classes = if n.is_multiple_of(4) { vec!["pii".into(), "secret".into()] } else { vec![] };
    Draft { data_classes, ..Draft::new(context("pay"), Some(call(n)), at(n), body) }
}

pub(crate) fn action(n: u64, event: ActionEvent, status: Option<Status>, name: &str) -> Draft {
    let body = ActionRecord {
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
        tool: tool(name),
    };
    let data_classes = if n.is_multiple_of(3) && status.is_some() { vec!["financial".into()] } else { vec![] };
    Draft { data_classes, ..Draft::new(context("pay"), Some(call(n)), at(n), body) }
}

/// Decision and intent of an allowed call.
pub(crate) fn begun(n: u64) -> Vec<Draft> {
    vec![decision(n, Effect::Allow, "send_money"), action(n, ActionEvent::Intent, None, "send_money")]
}

pub(crate) fn ended(n: u64, status: Status) -> Vec<Draft> {
    vec![action(n, ActionEvent::Outcome, Some(status), "send_money")]
}

pub(crate) fn version(name: &str, to: &str) -> Draft {
    let body = VersionLog {
        approval: None,
        difference: vec![],
        direction: None,
        from: None,
        object: VersionedObject { kind: VersionedKind::Run, name: name.into() },
        state: Some(format!("{{\"to\":\"{to}\"}}")),
        to: to.into(),
        who: "ana".into(),
        why: "test".into(),
    };
    Draft::new(context("pay"), None, at(0), body)
}

/// Every record of the log, in order.
pub(crate) fn all(reader: &Reader) -> Vec<Record> {
    reader.query(&Filter::everything(), Order::OldestFirst, None).unwrap()
}

fn homes() -> [Home; 2] {
    [Home::memory(), Home::embedded()]
}

#[test]
fn receipts_are_gapless_in_order_and_name_what_is_read_back() {
    for home in homes() {
        let ledger = home.open();
        let mut receipts = Vec::new();
        for n in 0..40 {
            receipts.extend(ledger.append_blocking(begun(n)).unwrap());
            receipts.extend(ledger.append_blocking(ended(n, Status::Done)).unwrap());
        }
        // The first record says that the ledger started.
        let seqs: Vec<u64> = receipts.iter().map(|receipt| receipt.seq).collect();
        assert_eq!(seqs, (2..=121).collect::<Vec<_>>());
        let reader = ledger.reader().unwrap();
        for receipt in receipts {
            let record = reader.record(receipt.seq).unwrap().unwrap();
            assert_eq!((record.id, record.recorded_at), (receipt.id, receipt.recorded_at));
            assert_eq!(record.emitter, ledger.emitter());
        }
        assert_eq!([0, 122].map(|seq| reader.record(seq).unwrap()), [None, None]);
        assert!(segments(&home) > 1, "the test should cross segments");
        ledger.close_blocking().unwrap();
    }
}

fn segments(home: &Home) -> usize {
    crate::ledger::segment::list(&*home.disk).unwrap().len()
}

#[test]
fn concurrent_appends_stay_whole_and_in_order() {
    for home in homes() {
        let ledger = home.open();
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let ledger = ledger.clone();
                scope.spawn(move || {
                    for n in 0..25 {
                        let receipts = ledger.append_blocking(begun(thread * 1_000 + n)).unwrap();
                        assert_eq!(receipts[0].seq + 1, receipts[1].seq);
                    }
                });
            }
        });
        let records = all(&ledger.reader().unwrap());
        assert_eq!(records.len(), 1 + 8 * 25 * 2);
        assert!(records.iter().zip(1..).all(|(record, seq)| record.seq == seq));
        assert!(records.is_sorted_by_key(|record| record.recorded_at));
        for pair in records[1..].chunks(2) {
            assert_eq!(pair[0].correlation.call, pair[1].correlation.call);
        }
        ledger.close_blocking().unwrap();
    }
}

#[test]
fn an_append_is_queued_before_its_future_is_polled_and_survives_dropping_it() {
    for home in homes() {
        let ledger = home.open();
        drop(ledger.append(begun(1)));
        assert_eq!(ledger.append_blocking(ended(1, Status::Done)).unwrap()[0].seq, 4);
        ledger.close_blocking().unwrap();
    }
}

#[test]
fn a_full_queue_makes_callers_wait_and_drops_nothing() {
    let home = Home::memory();
    let ledger = home.open_with(Options { queue_appends: 1, ..options() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut seqs = runtime.block_on(async {
        let appends: Vec<_> = (0..300).map(|n| ledger.append(begun(n))).collect();
        let mut seqs = Vec::new();
        for append in appends {
            seqs.extend(append.await.unwrap().into_iter().map(|receipt| receipt.seq));
        }
        seqs
    });
    seqs.sort_unstable();
    assert_eq!(seqs, (2..=601).collect::<Vec<_>>());
    ledger.close_blocking().unwrap();
}

/// Longer than any test: what lingers so long is written for another reason.
const FOREVER: Duration = Duration::from_secs(86_400);

#[test]
fn records_nobody_waits_for_are_written_with_the_next_group() {
    for home in homes() {
        let ledger = home.open_with(Options { linger: FOREVER, ..options() });
        ledger.append_blocking(begun(1)).unwrap();
        ledger.append_unwaited(ended(1, Status::Done)).unwrap();
        assert_eq!(ledger.lag().durable, 3);
        assert_eq!(ledger.append_blocking(begun(2)).unwrap()[0].seq, 5);
        ledger.append_unwaited(ended(2, Status::Done)).unwrap();
        ledger.close_blocking().unwrap();
        let records = all(&home.reader());
        assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
        assert_eq!(records.last().and_then(ledger_event), Some(LedgerEvent::Stopped));
    }
}

#[test]
fn records_nobody_waits_for_are_written_soon_where_no_other_comes() {
    for home in homes() {
        let ledger = home.open();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for n in 1..=3 {
            ledger.append_blocking(begun(n)).unwrap();
            ledger.append_unwaited(ended(n, Status::Done)).unwrap();
            // Would wait for ever if it took another append to write them.
            runtime.block_on(ledger.indexed(1 + n * 3));
        }
        ledger.close_blocking().unwrap();
    }
}

#[test]
fn an_outcome_that_a_kill_caught_lingering_is_unknown() {
    for home in homes() {
        let ledger = home.open_with(Options { linger: FOREVER, ..options() });
        ledger.append_blocking(begun(1)).unwrap();
        ledger.append_unwaited(ended(1, Status::Done)).unwrap();
        let after = home.killed();
        let again = after.open();
        let told: Vec<String> = all(&again.reader().unwrap())
            .iter()
            .filter_map(|record| match &record.body {
                Body::Action(action) => Some(action.status.map_or("intent".to_owned(), |status| status.to_string())),
                Body::Exception(exception) => Some(exception.kind.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(told, ["intent", "unknown", "unknown_outcome"]);
        again.close_blocking().unwrap();
        ledger.close_blocking().unwrap();
    }
}

#[test]
fn what_lingers_makes_room_for_what_is_waited_for() {
    let home = Home::memory();
    let ledger = home.open_with(Options { linger: FOREVER, queue_appends: 1, ..options() });
    ledger.append_unwaited(begun(1)).unwrap();
    assert_eq!(ledger.append_blocking(begun(2)).unwrap()[0].seq, 4);
    ledger.close_blocking().unwrap();
}

#[test]
fn a_closed_ledger_takes_nothing_that_nobody_waits_for() {
    let home = Home::memory();
    let ledger = home.open();
    let other = ledger.clone();
    ledger.close_blocking().unwrap();
    assert_eq!(other.append_unwaited(begun(1)), Ok(()), "told in the log");
    assert_eq!(all(&home.reader()).len(), 2);
}

#[test]
fn an_orderly_stop_is_recorded_and_continues_without_a_gap() {
    for home in homes() {
        let ledger = home.open();
        ledger.append_blocking(begun(1)).unwrap();
        ledger.append_blocking(ended(1, Status::Done)).unwrap();
        let other = ledger.clone();
        ledger.close_blocking().unwrap();
        assert_eq!(other.health(), Health::Closed);
        assert_eq!(other.append_blocking(begun(2)), Err(AppendError::Closed));

        let ledger = home.open();
        let events: Vec<LedgerEvent> = all(&home.reader()).iter().filter_map(ledger_event).collect();
        assert_eq!(events, [LedgerEvent::Started, LedgerEvent::Stopped, LedgerEvent::Started]);
        assert_eq!(ledger.append_blocking(begun(2)).unwrap()[0].seq, 7);
        ledger.close_blocking().unwrap();
    }
}

fn ledger_event(record: &Record) -> Option<LedgerEvent> {
    match &record.body {
        Body::Ledger(state) => Some(state.event),
        _ => None,
    }
}

#[test]
fn only_one_process_writes() {
    for home in homes() {
        let ledger = home.open();
        let again = Ledger::open_on(Arc::clone(&home.disk), home.index.clone(), options());
        assert!(matches!(again, Err(crate::OpenError::Locked)));
        ledger.close_blocking().unwrap();
        home.open().close_blocking().unwrap();
    }
}

#[test]
fn what_does_not_fit_is_refused_and_hurts_nobody_else() {
    for home in homes() {
        let ledger = home.open();
        let long = |bytes: usize| version(&"x".repeat(bytes), "a");
        for (drafts, want) in [
            (vec![], "0 drafts"),
            (vec![version("a", "b"); APPEND_DRAFTS_MAX + 1], "257 drafts"),
            (vec![long(300 * 1024)], "at most 262144"),
            (vec![long(40 * 1024), long(40 * 1024)], "in one append"),
        ] {
            let (refused, beside) = (ledger.append(drafts), ledger.append(begun(1)));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let error = runtime.block_on(refused).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
            runtime.block_on(beside).unwrap();
        }
        assert_eq!(ledger.health(), Health::Ready);
        assert_eq!(all(&ledger.reader().unwrap()).len(), 1 + 4 * 2);
        ledger.close_blocking().unwrap();
    }
}

#[test]
fn the_latest_version_of_every_object_is_complete_at_once() {
    for home in homes() {
        let ledger = home.open();
        for (name, to) in [("run-a", "open"), ("run-b", "open"), ("run-a", "ended"), ("run-c", "open")] {
            ledger.append_blocking(vec![version(name, to)]).unwrap();
        }
        let latest = |ledger: &Ledger| -> Vec<(String, String)> {
            let versions = ledger.versions(VersionedKind::Run).unwrap();
            let pair = |record: &Record| match &record.body {
                Body::Version(version) => (version.object.name.to_string(), version.to.to_string()),
                other => panic!("{other:?}"),
            };
            versions.iter().map(pair).collect()
        };
        let want = [("run-b", "open"), ("run-a", "ended"), ("run-c", "open")]
            .map(|(name, to)| (name.to_owned(), to.to_owned()));
        assert_eq!(latest(&ledger), want);
        assert!(ledger.versions(VersionedKind::Mission).unwrap().is_empty());
        ledger.close_blocking().unwrap();
        let ledger = home.open();
        assert_eq!(latest(&ledger), want);
        ledger.close_blocking().unwrap();
    }
}

#[test]
fn a_reader_sees_what_the_index_does_not_know_yet() {
    for home in homes() {
        let ledger = home.open();
        let reader = home.reader();
        for n in 0..20 {
            let last = ledger.append_blocking(begun(n)).unwrap()[1].seq;
            let newest = reader.query(&Filter::everything(), Order::NewestFirst, Some(1)).unwrap();
            assert_eq!(newest[0].seq, last);
            assert_eq!(reader.call(call(n)).unwrap().len(), 2);
            let mut count = 0;
            let counted = reader.visit(&Filter::everything(), Order::OldestFirst, |_| {
                count += 1;
                ControlFlow::Continue(())
            });
            counted.unwrap();
            assert_eq!(count, last);
        }
        ledger.close_blocking().unwrap();
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let log = |integration| {
        let home = Home::memory();
        let ledger = home.open_with(Options { integration, ..options() });
        for n in 0..50 {
            ledger.append_blocking(begun(n)).unwrap();
        }
        ledger.close_blocking().unwrap();
        let records = all(&home.reader());
        (records, crate::ports::read_file(&*home.disk, "ledger/checkpoint", 4_096).unwrap())
    };
    let first = log(Integration::AfterEachGroup);
    assert_eq!(first, log(Integration::AfterEachGroup));
    assert_eq!(first.1, log(Integration::Background).1);
}

#[test]
fn a_closed_ledger_verifies_and_its_index_is_what_its_log_gives() {
    for home in homes() {
        let ledger = home.open();
        for n in 0..300 {
            ledger.append_blocking(begun(n)).unwrap();
            ledger.append_blocking(ended(n, Status::Done)).unwrap();
        }
        ledger.close_blocking().unwrap();
        let report = home.fsck();
        assert!(report.is_sound(), "{report}");
        assert_eq!((report.records(), report.evidence.proved), (902, 902));
        assert_eq!(report.unfinished, None);
        if let Some(directory) = &home._directory {
            let rebuilt = crate::rebuild(directory.path()).unwrap();
            assert!(rebuilt.is_sound(), "{rebuilt}");
            // A row for each call, and more for what its records are found by.
            assert!(rebuilt.records == 902 && rebuilt.rows > 300 + 2 + 1, "{rebuilt}");
        }
    }
}

#[test]
fn after_a_kill_open_calls_are_closed_as_unknown_and_never_again() {
    for home in homes() {
        let ledger = home.open();
        for n in 0..90 {
            ledger.append_blocking(begun(n)).unwrap();
            if n % 3 == 0 {
                ledger.append_blocking(ended(n, Status::Done)).unwrap();
            }
        }
        let again = action(0, ActionEvent::Intent, None, "send_money");
        let mut second = vec![decision(0, Effect::Allow, "send_money"), again];
        for draft in &mut second {
            if let Body::Action(action) = &mut draft.body {
                action.attempt = 2;
            }
        }
        ledger.append_blocking(second).unwrap();
        let killed = home.killed();
        let reopened = killed.open();
        let records = all(&killed.reader());
        let unknown: Vec<&Record> = records
            .iter()
            .filter(|record| matches!(&record.body, Body::Action(action) if action.status == Some(Status::Unknown)))
            .collect();
        assert_eq!(unknown.len(), 61);
        let exceptions = records.iter().filter(|record| matches!(record.body, Body::Exception(_))).count();
        assert_eq!(exceptions, 61);
        assert!(unknown.iter().all(|record| &*record.agent.name == "ap-bot" && record.correlation.run.is_some()));
        let events: Vec<LedgerEvent> = records.iter().filter_map(ledger_event).collect();
        assert_eq!(events, [LedgerEvent::Started, LedgerEvent::Started, LedgerEvent::Recovered]);
        reopened.close_blocking().unwrap();
        let report = killed.fsck();
        assert!(report.is_sound() && report.evidence.open_intents.is_empty(), "{report}");

        // Another opening finds nothing to close.
        let count = records.len() as u64;
        killed.open().close_blocking().unwrap();
        assert_eq!(killed.fsck().records(), count + 3);
        ledger.close_blocking().unwrap();
    }
}

#[test]
fn a_ledger_verifies_while_it_is_written() {
    for home in homes() {
        let ledger = home.open();
        for n in 0..200 {
            drop(ledger.append(begun(n)));
            if n % 50 == 0 {
                let report = home.fsck();
                assert!(report.is_sound(), "{report}");
            }
        }
        ledger.close_blocking().unwrap();
        assert!(home.fsck().is_sound());
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_closed_ledger_is_found_where_it_is() {
    let home = Home::memory();
    let ledger = home.open();
    for n in 0..120 {
        ledger.append_blocking(begun(n)).unwrap();
        ledger.append_blocking(ended(n, Status::Done)).unwrap();
    }
    ledger.close_blocking().unwrap();
    let mut files = Vec::new();
    walk(&*home.disk, "ledger", &mut files);
    assert!(files.iter().any(|file| file.contains("/tile/")) && files.len() > 6, "{files:?}");
    files.push("keys/log.vkey".into());
    let mut random = Counter(7);
    for file in files {
        let open = home.disk.open(&file, Access::Write).unwrap();
        let length = open.bytes().unwrap();
        let rounds = if file.contains("/segments/") { 40 } else { 12 };
        for round in 0..rounds {
            let mut bytes = [0; 8];
            random.fill(&mut bytes).unwrap();
            let at = match round {
                // Where the groups are, more often than in the zeros after them.
                0..20 => u64::from_be_bytes(bytes) % length.min(12_000),
                _ => u64::from_be_bytes(bytes) % length,
            };
            let mask = 1 << (round % 8);
            let mut byte = [0];
            open.read_at(&mut byte, at).unwrap();
            open.write_at(&[byte[0] ^ mask], at).unwrap();
            match crate::ledger::fsck_on(&*home.disk) {
                Err(error) => assert!(error.to_string().contains(&file), "{file} byte {at}: {error}"),
                Ok(report) => {
                    assert!(!report.is_sound(), "{file} byte {at} mask {mask}: {report}");
                    let damage = &report.damages[0];
                    if file.contains("/segments/") {
                        assert_eq!((&damage.file, damage.offset), (&file, Some(at)), "{report}");
                    } else if !file.ends_with("origin") && !file.ends_with("vkey") {
                        // A changed leaf or entry is named by its record as well.
                        let named = report.damages.iter().any(|damage| damage.file == file || damage.seq.is_some());
                        assert!(named, "{file} byte {at}: {report}");
                    }
                }
            }
            open.write_at(&byte, at).unwrap();
        }
    }
    assert!(home.fsck().is_sound());
}

#[test]
fn whatever_is_written_over_a_segment_is_found_and_survived() {
    let home = Home::memory();
    let ledger = home.open();
    for n in 0..60 {
        ledger.append_blocking(begun(n)).unwrap();
        ledger.append_blocking(ended(n, Status::Done)).unwrap();
    }
    ledger.close_blocking().unwrap();
    let segments = crate::ledger::segment::list(&*home.disk).unwrap();
    let mut random = Counter(11);
    let mut number = |below: u64| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes).unwrap();
        u64::from_be_bytes(bytes) % below
    };
    for round in 0..150 {
        let damaged = home.killed();
        let first = segments[number(segments.len() as u64) as usize];
        let file = damaged.disk.open(&crate::ledger::segment::path(first), Access::Write).unwrap();
        let mut content = vec![0; file.bytes().unwrap() as usize];
        file.read_at(&mut content, 0).unwrap();
        let before = content.clone();
        let (at, length) = (number(40_000) as usize, 1 + number(6_000) as usize);
        match round % 4 {
            0 => content[at..at + length].fill(0),
            1 => content[at..at + length].fill_with(|| number(256) as u8),
            // Bytes from elsewhere in the segment, as a misplaced write leaves them: whole groups among them.
            2 => content.copy_within(4_096..4_096 + length, at),
            _ => content.rotate_right(length),
        }
        file.write_at(&content, 0).unwrap();
        let report = damaged.fsck();
        assert_eq!(report.is_sound(), content == before, "round {round}: {report}");
        // Opening refuses, or takes what is sound; or it finds bytes where nothing was acknowledged, and sets them aside.
        if let Ok(opened) = Ledger::open_on(Arc::clone(&damaged.disk), IndexPlace::Memory, options()) {
            opened.append_blocking(begun(1_000)).unwrap();
            let kind = Filter::Term(Term::Kind(vec![ExceptionKind::Ledger]));
            let told = opened.reader().unwrap().query(&kind, Order::OldestFirst, None).unwrap().len();
            opened.close_blocking().unwrap();
            let after = damaged.fsck();
            let aside = !damaged.disk.list("ledger/torn").unwrap().is_empty();
            assert_eq!(told, usize::from(aside), "round {round}: somebody must look at what was set aside");
            assert_eq!(after.is_sound(), aside || content == before, "round {round}: {after}");
            assert!(!after.is_sound() || after.records() >= 182 + 4, "round {round}: {after}");
        }
    }
}

#[test]
fn a_writer_that_dies_leaves_nobody_waiting() {
    let home = Home::memory();
    let looks = AtomicU64::new(0);
    let clock = move || match looks.fetch_add(1, Ordering::Relaxed) {
        look @ 0..8 => at(look),
        _ => panic!("the clock of this test stops here"),
    };
    let ledger = home.open_with(Options { clock: Arc::new(clock), ..options() });
    let mut results = Vec::new();
    for n in 0..12 {
        results.push(ledger.append_blocking(begun(n)));
    }
    assert!(results[0].is_ok());
    assert!(matches!(results.last(), Some(Err(AppendError::Degraded { .. }))), "{results:?}");
    // The one who waited hears of it while the writer's thread still unwinds; its health follows.
    let deadline = Instant::now() + Duration::from_secs(30);
    while ledger.health() == Health::Ready && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(matches!(ledger.health(), Health::Degraded { .. }));
    assert!(ledger.close_blocking().is_err());
    home.killed().open().close_blocking().unwrap();
}

fn walk(disk: &dyn Disk, path: &str, files: &mut Vec<String>) {
    let names = disk.list(path).unwrap();
    if names.is_empty() {
        files.push(path.to_owned());
    }
    names.iter().for_each(|name| walk(disk, &format!("{path}/{name}"), files));
}
