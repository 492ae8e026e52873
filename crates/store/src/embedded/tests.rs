//! What the embedded ledger does when files are not as it left them.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use evidence::record::{Body, Context, Draft, LedgerEvent, Status};

use super::disk::HomeDisk;
use crate::conformance::{Counter, all, at, begun, ended, options};
use crate::ledger::segment;
use crate::ports::{Access, Disk};
use crate::{CloseError, Integration, Ledger, OpenError, Options, Reader, fsck, fsck_since, rebuild};

/// A home with a closed ledger of `calls` calls.
fn home(calls: u64) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    append(home.path(), calls);
    home
}

fn append(home: &Path, calls: u64) {
    let ledger = Ledger::open(home, options()).unwrap();
    for n in 0..calls {
        ledger.append_blocking(begun(n)).unwrap();
        ledger.append_blocking(ended(n, Status::Done)).unwrap();
    }
    ledger.close_blocking().unwrap();
}

/// Copies `home` without what only a running process needs.
fn copy(home: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_below(home, to.path());
    to
}

fn copy_below(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_below(&entry.path(), &to);
        } else {
            match fs::copy(entry.path(), to) {
                // A running ledger replaces small files, and what is to replace them goes away.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

fn last_segment(home: &Path) -> (String, u64) {
    let disk = HomeDisk::new(home);
    let first = *segment::list(&disk).unwrap().last().unwrap();
    let path = segment::path(first);
    let bytes = fs::read(home.join(&path)).unwrap();
    (path, bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1)
}

#[test]
fn an_index_that_does_not_fit_is_made_anew_and_equals_the_log() {
    let home = home(30);
    let index = home.path().join("ledger/index.sqlite");
    let older = fs::read(&index).unwrap();
    append(home.path(), 30);
    let spoil: [(&str, &dyn Fn()); 5] = [
        ("missing", &|| fs::remove_file(&index).unwrap()),
        ("empty", &|| fs::write(&index, b"").unwrap()),
        ("not a database", &|| fs::write(&index, vec![7; 10_000]).unwrap()),
        ("an older copy", &|| fs::write(&index, &older).unwrap()),
        ("of another version", &|| {
            let connection = rusqlite::Connection::open(&index).unwrap();
            connection.pragma_update(None, "user_version", 77).unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        spoil();
        let records = all(&Reader::open(home.path()).unwrap()).len() as u64;
        assert_eq!(records, fsck(home.path()).unwrap().records(), "{what}: a reader needs no index");
        append(home.path(), 1);
        let rebuilt = rebuild(home.path()).unwrap();
        assert!(rebuilt.is_sound(), "{what}: {rebuilt}");
        assert_eq!(rebuilt.records, fsck(home.path()).unwrap().records(), "{what}");
    }
}

#[test]
fn a_changed_row_in_the_index_is_named() {
    let home = home(10);
    for change in [
        "UPDATE calls SET decision_offset = 7 WHERE decision_seq = 5",
        "DELETE FROM postings WHERE term = 1",
        "UPDATE terms SET value = 'x' WHERE term = 2",
        "UPDATE places SET places = zeroblob(12)",
        "INSERT INTO versions VALUES ('run', 'x', 3, 9)",
    ] {
        let index = home.path().join("ledger/index.sqlite");
        rusqlite::Connection::open(&index).unwrap().execute_batch(change).unwrap();
        let rebuilt = rebuild(home.path()).unwrap();
        assert!(rebuilt.to_string().contains("delete `ledger/index.sqlite`"), "{change}: {rebuilt}");
        fs::remove_file(&index).unwrap();
        append(home.path(), 0);
        assert!(rebuild(home.path()).unwrap().is_sound(), "{change}");
    }
}

#[test]
fn the_records_of_a_run_are_the_same_with_the_index_and_without() {
    let home = home(20);
    let every = all(&Reader::open(home.path()).unwrap());
    let run = every.iter().find_map(|record| record.correlation.run).unwrap();
    let is_of = |record: &&evidence::record::Record| record.correlation.run == Some(run);
    let wanted: Vec<u64> = every.iter().filter(is_of).map(|record| record.seq).collect();
    assert!(wanted.len() < every.len(), "some are of none");
    let index = home.path().join("ledger/index.sqlite");
    for what in ["with", "without"] {
        let mut seqs = Vec::new();
        let reader = Reader::open(home.path()).unwrap();
        let read = reader.visit_run(run, |record| {
            seqs.push(record.seq);
            ControlFlow::Continue(())
        });
        read.unwrap();
        assert_eq!(seqs, wanted, "{what} the index");
        let _already = fs::remove_file(&index);
    }
}

#[test]
fn a_log_shorter_than_its_index_is_not_opened() {
    let home = home(10);
    let before = copy(home.path());
    append(home.path(), 10);
    // The log of yesterday under the index of today, and nothing else that remembers.
    for name in ["ledger/segments", "ledger/tile"] {
        fs::remove_dir_all(home.path().join(name)).unwrap();
    }
    for name in ["ledger/checkpoint", "ledger/tree"] {
        fs::remove_file(home.path().join(name)).unwrap();
    }
    fs::create_dir(home.path().join("ledger/segments")).unwrap();
    copy_below(&before.path().join("ledger/segments"), &home.path().join("ledger/segments"));
    let error = Ledger::open(home.path(), options()).err().unwrap().to_string();
    assert!(error.contains("the index covers record 64") && error.contains("ends with record 32"), "{error}");
}

#[test]
fn an_index_that_cannot_be_written_delays_nothing_but_itself() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path(), Options { integration: Integration::AfterEachGroup, ..options() }).unwrap();
    let shell = rusqlite::Connection::open(home.path().join("ledger/index.sqlite")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let receipts = ledger.append_blocking(begun(1)).unwrap();
    let lag = ledger.lag();
    assert!(lag.records() == 2 && lag.trouble.is_some_and(|trouble| trouble.contains("index")), "{:?}", ledger.lag());
    assert_eq!(ledger.health(), crate::Health::Ready);
    // A reader needs no index for what the index lacks.
    let newest = ledger.reader().unwrap().record(receipts[1].seq).unwrap().unwrap();
    assert_eq!(newest.id, receipts[1].id);
    shell.execute_batch("COMMIT").unwrap();
    ledger.append_blocking(ended(1, Status::Done)).unwrap();
    assert_eq!((ledger.lag().records(), ledger.lag().trouble), (0, None));
    ledger.close_blocking().unwrap();
    assert!(rebuild(home.path()).unwrap().is_sound());
}

#[test]
fn a_torn_write_is_kept_aside_and_said() {
    let home = home(5);
    let (path, end) = last_segment(home.path());
    let disk = HomeDisk::new(home.path());
    let torn: Vec<u8> = (0..9_000_u32).map(|at| if at % 4_096 < 2_000 { (at % 251) as u8 | 1 } else { 0 }).collect();
    disk.open(&path, Access::Write).unwrap().write_at(&torn, end).unwrap();

    append(home.path(), 0);
    let records = all(&Reader::open(home.path()).unwrap());
    let started = records.iter().rev().find_map(|record| match &record.body {
        Body::Ledger(state) if state.event == LedgerEvent::Started => Some(state.detail.clone()),
        _ => None,
    });
    let kept = format!("ledger/torn/{:020}-{end}.bin", 1);
    assert!(started.as_ref().is_some_and(|detail| detail.contains(&kept)), "{started:?}");
    let bytes = fs::read(home.path().join(kept)).unwrap();
    assert_eq!(bytes, torn[..bytes.len()]);
    assert!(torn[bytes.len()..].iter().all(|byte| *byte == 0));
    let report = fsck(home.path()).unwrap();
    assert!(report.is_sound() && report.unfinished.is_none(), "{report}");
}

#[test]
fn an_unfinished_write_of_a_dead_process_is_no_damage() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path(), options()).unwrap();
    ledger.append_blocking(begun(1)).unwrap();
    let killed = copy(home.path());
    ledger.close_blocking().unwrap();
    let (path, end) = last_segment(killed.path());
    HomeDisk::new(killed.path()).open(&path, Access::Write).unwrap().write_at(&[1; 700], end).unwrap();
    let report = fsck(killed.path()).unwrap();
    assert!(report.is_sound(), "{report}");
    let unfinished = report.unfinished.unwrap();
    assert_eq!((unfinished.file, unfinished.offset, unfinished.bytes), (path, end, 700));
}

#[test]
fn damage_in_an_earlier_segment_is_found_before_anything_is_written() {
    let home = home(120);
    let first = home.path().join(segment::path(1));
    let good = fs::read(&first).unwrap();
    let mut bad = good.clone();
    bad[20_000] ^= 0xff;
    fs::write(&first, &bad).unwrap();
    // With the note gone, the log is read from its start.
    fs::remove_file(home.path().join("ledger/tree")).unwrap();
    let error = Ledger::open(home.path(), options()).err().unwrap();
    assert!(matches!(&error, OpenError::Recover(_)), "{error}");
    assert!(error.to_string().contains(&segment::path(1)), "{error}");
    let report = fsck(home.path()).unwrap();
    assert_eq!(report.damages[0].file, segment::path(1));
    assert!(report.records() > 100, "the rest is checked too: {report}");
    fs::write(&first, &good).unwrap();
    append(home.path(), 0);
    assert!(fsck(home.path()).unwrap().is_sound());
}

#[test]
fn a_missing_segment_and_a_foreign_one_are_named() {
    let home = home(200);
    let other = tempfile::tempdir().unwrap();
    let foreign = Options { entropy: Box::new(Counter(1_000_000)), ..options() };
    let ledger = Ledger::open(other.path(), foreign).unwrap();
    for n in 0..200 {
        ledger.append_blocking(begun(n)).unwrap();
        ledger.append_blocking(ended(n, Status::Done)).unwrap();
    }
    ledger.close_blocking().unwrap();
    let segments = segment::list(&HomeDisk::new(home.path())).unwrap();
    assert_eq!(segments, segment::list(&HomeDisk::new(other.path())).unwrap());
    let middle = segment::path(segments[1]);
    fs::rename(home.path().join(&middle), home.path().join("kept")).unwrap();
    let report = fsck(home.path()).unwrap();
    assert!(report.damages[0].to_string().contains(&format!("`{middle}`")), "{report}");

    fs::copy(other.path().join(&middle), home.path().join(&middle)).unwrap();
    let report = fsck(home.path()).unwrap();
    let first = report.damages[0].to_string();
    assert!(first.contains(&middle) && first.contains("belongs to the ledger"), "{report}");
}

#[test]
fn closing_twice_is_an_error_and_keys_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path(), options()).unwrap();
    let other = ledger.clone();
    ledger.close_blocking().unwrap();
    assert!(matches!(other.close_blocking(), Err(CloseError::Closed)));
    let mode = |path: &str| fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("keys/log.ed25519"), mode("keys"), mode("ledger")), (0o600, 0o700, 0o700));
    let seed = fs::read_to_string(home.path().join("keys/log.ed25519")).unwrap();
    let vkey = fs::read_to_string(home.path().join("keys/log.vkey")).unwrap();
    assert!(seed.starts_with("PRIVATE+KEY+countersign.local/cs-") && vkey.starts_with("countersign.local/cs-"));
}

/// Records that the next key signs the log, made of this seed; gives the record's number.
fn rotate(ledger: &Ledger, seed: u8) -> u64 {
    let rotation = ledger.rotation(&[seed; 32], "ana", "A year is over.").unwrap();
    let draft = Draft::new(Context::system().into(), None, at(0), rotation);
    ledger.append_blocking(vec![draft]).unwrap().first().unwrap().seq
}

fn put(from: &Path, to: &Path, file: &str) {
    let _absent = fs::remove_file(to.join(file));
    if from.join(file).exists() {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[test]
fn a_log_goes_from_key_to_key_wherever_the_process_dies() {
    let home = home(3);
    let keys = |home: &Path| Reader::open(home).unwrap().keys().unwrap();
    let first = keys(home.path()).last().clone();
    let kept = fs::read(home.path().join("ledger/checkpoint")).unwrap();

    let ledger = Ledger::open(home.path(), options()).unwrap();
    let next = ledger.next_key(&[1; 32]).unwrap();
    assert_eq!(ledger.next_key(&[2; 32]).unwrap(), next, "it is made once");
    let before = copy(home.path());
    let seq = rotate(&ledger, 3);
    ledger.append_blocking(begun(9)).unwrap();
    ledger.append_blocking(ended(9, Status::Done)).unwrap();
    ledger.close_blocking().unwrap();
    assert_eq!((keys(home.path()).last(), keys(home.path()).handovers().len()), (&next, 1));
    let handover = keys(home.path()).handovers().first().unwrap().clone();
    assert!(handover.seq == seq && handover.keys.old == first && handover.checkpoint.size >= seq, "{handover:?}");
    assert!(!home.path().join("keys/log.next").exists());
    let older = [("kept".to_owned(), kept)];
    for trusted in [&first, &next] {
        let report = fsck_since(home.path(), Some(trusted), &older).unwrap();
        assert!(report.is_sound(), "{report}");
    }
    let stranger = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let report = fsck_since(home.path(), Some(&stranger), &[]).unwrap();
    assert!(report.damages.iter().any(|damage| damage.what.contains("by the key that you trust")), "{report}");

    // What is on the disk after each step, were it the last one: the old key's files are put back to it.
    let (key, vkey, next_key) = ("keys/log.ed25519", "keys/log.vkey", "keys/log.next");
    let (checkpoint, note) = ("ledger/checkpoint", "ledger/tree");
    for (step, back) in [
        ("the record is durable", &[key, vkey, next_key, checkpoint, note][..]),
        ("the handover is kept", &[key, vkey, next_key, checkpoint, note]),
        ("both keys signed the checkpoint", &[key, vkey, next_key, note]),
        ("the new key is taken", &[vkey, note]),
    ] {
        let dead = copy(home.path());
        back.iter().for_each(|file| put(before.path(), dead.path(), file));
        if step == "both keys signed the checkpoint" {
            fs::write(dead.path().join(checkpoint), &handover.note).unwrap();
        }
        if step == "the record is durable" {
            fs::remove_dir_all(dead.path().join("ledger/handovers")).unwrap();
        }
        append(dead.path(), 1);
        let keys = keys(dead.path());
        assert_eq!((keys.last(), keys.handovers().len()), (&next, 1), "{step}");
        for trusted in [&first, &next] {
            let report = fsck_since(dead.path(), Some(trusted), &older).unwrap();
            assert!(report.is_sound(), "{step}: {report}");
        }
        assert_eq!(fs::read_to_string(dead.path().join(vkey)).unwrap().trim(), next.to_string(), "{step}");
    }

    // A second change, and what somebody signs with the first key, which they have found.
    let old = fs::read(before.path().join(key)).unwrap();
    let ledger = Ledger::open(home.path(), options()).unwrap();
    rotate(&ledger, 4);
    ledger.close_blocking().unwrap();
    let report = fsck_since(home.path(), Some(&first), &older).unwrap();
    assert!(report.is_sound() && keys(home.path()).handovers().len() == 2, "{report}");
    let forged = copy(home.path());
    fs::write(forged.path().join(key), &old).unwrap();
    assert!(matches!(Ledger::open(forged.path(), options()), Err(OpenError::Key)), "the first key signs nothing more");

    // The next key is lost before it signs: the log goes on, and says what is wrong.
    let lost = copy(before.path());
    let ledger = Ledger::open(lost.path(), options()).unwrap();
    let rotation = ledger.rotation(&[5; 32], "ana", "A year is over.").unwrap();
    fs::remove_file(lost.path().join(next_key)).unwrap();
    let draft = Draft::new(Context::system().into(), None, at(0), rotation);
    ledger.append_blocking(vec![draft]).unwrap();
    ledger.append_blocking(begun(10)).unwrap();
    let closed = ledger.close_blocking();
    assert!(matches!(&closed, Err(CloseError::Behind(_))), "{closed:?}");
}
