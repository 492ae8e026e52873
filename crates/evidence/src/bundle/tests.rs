//! Bundles of a log with every type of record, whole and tampered with.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::checkpoint::{Checkpoint, KeyName, VerifierKey};
use crate::cosignature::Witnesses;
use crate::examples::{
    EMITTER, ORIGIN, at, by_itself, call_id, context, decision, intent, outcome, record_id, send_money, story, written,
};
use crate::filter::Filter;
use crate::leaf::{Leaf, Salt, commitment, hex_text, sha256_hex};
use crate::merkle::inclusion_proof;
use crate::proof::Proof;
use crate::record::{
    Body, Draft, Effect, EvidenceAccess, Link, Record, Status, VersionLog, VersionedKind, VersionedObject, read,
};
use crate::tile::{Tile, TileBuilder, TileHashes, TileRef};

const SALT: Salt = [0x42; 16];
const TICKET: &[u8] = b"The secret of ticket 7: pay it.";

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn key_of(seed: u8) -> VerifierKey {
    VerifierKey::new(ORIGIN.parse().unwrap(), signing(seed).verifying_key())
}

/// The exact bytes of records, the first one being record 1.
fn log(filter: &str) -> Vec<Vec<u8>> {
    let mut drafts = story();
    // What follows is at later times than the story.
    let mut later = (3_700_000..).map(at);
    let mut push = |call: Option<u64>, body: Body| {
        let context = if call.is_some() { context() } else { by_itself() };
        drafts.push(Draft::new(context, call.map(call_id), later.next().unwrap(), body));
    };
    let ticket = VersionLog {
        approval: None,
        difference: vec!["`ticket.txt` is attached".into()],
        direction: None,
        from: None,
        object: VersionedObject { kind: VersionedKind::Attachment, name: record_id(3).to_string().into() },
        state: None,
        to: sha256_hex(TICKET).into(),
        who: "dan".into(),
        why: "Who asked.".into(),
    };
    push(None, ticket.into());
    for n in 0..170 {
        let call = Some(1_000 + n);
        push(call, decision(Effect::Allow, send_money(), 1).into());
        push(call, intent(send_money(), 1).into());
        if n != 99 {
            push(call, outcome(send_money(), 1, Status::Done).into());
        }
    }
    let access = EvidenceAccess {
        channel: "cli".into(),
        filter: Some(filter.into()),
        look: None,
        who: "audit".into(),
        why: "The annual audit.".into(),
    };
    push(None, access.into());
    for draft in &mut drafts {
        if matches!(&draft.body, Body::Version(version) if version.object.kind == VersionedKind::Attachment) {
            draft.links = vec![Link {
                bytes: TICKET.len() as u64,
                media_type: "text/plain".into(),
                rel: "ticket".into(),
                sha256: sha256_hex(TICKET),
            }];
        }
    }
    drafts.iter().zip(1..).map(|(draft, seq)| written(draft, seq)).collect()
}

fn leaf_of(record: &Record, bytes: &[u8]) -> Leaf {
    Leaf {
        commitment: hex_text(&commitment(&SALT, bytes)),
        emitter: record.emitter.clone(),
        id: record.id,
        schema: record.schema,
        seq: record.seq,
        record_type: record.record_type,
    }
}

/// A bundle in memory.
#[derive(Clone, Default)]
struct Made {
    files: BTreeMap<String, Vec<u8>>,
}

impl Files for Made {
    fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn BufRead + '_>> {
        let bytes = self.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}

impl Made {
    /// A bundle of these records of `log`, signed with the key of `seed`, as somebody would make it who may claim anything.
    fn of(log: &[Vec<u8>], scope: Scope, seed: u8) -> Self {
        let records: Vec<Record> = log.iter().map(|bytes| read(bytes).unwrap()).collect();
        let access = records.last().unwrap();
        let Body::Access(export) = &access.body else { panic!("the last record is that of the export") };
        let filter: Filter = export.filter.as_deref().unwrap().parse().unwrap();
        let mut builder = TileBuilder::new();
        let leaves: Vec<Leaf> = records.iter().zip(log).map(|(record, bytes)| leaf_of(record, bytes)).collect();
        for leaf in &leaves {
            builder.push(&leaf.entry().unwrap()).unwrap();
        }
        let mut made = Self::default();
        for Tile { tile, bytes } in builder.unwritten().unwrap() {
            made.files.insert(tile.path(), bytes);
        }
        let (origin, size): (KeyName, _) = (ORIGIN.parse().unwrap(), builder.size());
        let checkpoint = Checkpoint { origin: origin.clone(), size, root: builder.root() };
        let note = checkpoint.sign(&signing(seed), &origin);
        let leaf = |seq: u64| Ok::<_, io::Error>(leaves[seq as usize - 1].clone());
        let (first, count) = filter.bounds().range(size, leaf).unwrap();

        let (mut lines, mut salts) = (Vec::new(), String::new());
        let (mut tally, mut held, mut selected) = (Tally::default(), Count::default(), Count::default());
        let mut beside = BTreeSet::from([access.seq]);
        let mut attachments = Vec::new();
        let is_key = |record: &Record| matches!(&record.body, Body::Version(version) if version.object.kind == VersionedKind::Key && version.object.name.starts_with("person/"));
        for record in &records[first as usize - 1..(first + count) as usize - 1] {
            tally.take(record);
            if filter.matches(record) {
                selected.add(record.record_type);
                let source = TileHashes::new(size, |tile: TileRef| made.files.get(&tile.path()).cloned());
                let hashes = inclusion_proof(record.seq - 1, size, &source).unwrap();
                let proof = Proof { index: record.seq - 1, hashes, checkpoint: note.clone().into_bytes() };
                if selected.records <= 5 {
                    made.files.insert(format!("proofs/{}.tlog-proof", record.seq), proof.to_string().into_bytes());
                }
            } else if scope == Scope::Selected {
                continue;
            }
            held.add(record.record_type);
            lines.extend([&log[record.seq as usize - 1], &b"\n"[..]].concat());
            salts.push_str(&format!("{}\n", hex::encode(SALT)));
            if signer(record).is_some() {
                beside.extend(records.iter().filter(|record| is_key(record)).map(|record| record.seq));
            }
            for link in &records {
                if matches!(&link.body, Body::Version(version) if version.object.kind == VersionedKind::Attachment && *version.object.name == *record.id.to_string())
                {
                    beside.insert(link.seq);
                    let sha256 = sha256_hex(TICKET);
                    attachments.push(Attachment { enclosed: true, link_seq: link.seq, record: record.id, sha256 });
                    made.files.insert(format!("{ATTACHMENTS}{}", sha256_hex(TICKET)), TICKET.to_vec());
                }
            }
        }
        let (mut around, mut around_salts, mut context) = (Vec::new(), String::new(), Count::default());
        for seq in beside {
            let index = seq as usize - 1;
            context.add(records[index].record_type);
            around.extend([&log[index], &b"\n"[..]].concat());
            around_salts.push_str(&format!("{}\n", hex::encode(SALT)));
        }
        let manifest = Manifest {
            access_seq: access.seq,
            attachments,
            checkpoint: Head { origin: ORIGIN.into(), root: hex_text(&checkpoint.root), size },
            context,
            created_at: access.occurred_at,
            created_by: export.who.clone(),
            emitter: EMITTER.into(),
            files: Vec::new(),
            filter: export.filter.clone().unwrap(),
            format: FORMAT,
            population: tally.finish(first),
            records: held,
            scope,
            selected,
            version: "0.1.0".into(),
            why: export.why.clone(),
        };
        let texts = [
            (LOG_KEY, format!("{}\n", key_of(seed)).into_bytes()),
            (CHECKPOINT, note.into_bytes()),
            (RECORDS, lines),
            (RECORD_SALTS, salts.into_bytes()),
            (CONTEXT, around),
            (CONTEXT_SALTS, around_salts.into_bytes()),
            (MANIFEST, manifest.text().unwrap()),
        ];
        let schemas = SCHEMAS.map(|(name, text)| (name, text.as_bytes().to_vec()));
        made.files.extend(texts.into_iter().chain(schemas).map(|(name, bytes)| (name.to_owned(), bytes)));
        made.list();
        made
    }

    fn manifest(&self) -> Manifest {
        serde_json::from_slice(&self.files[MANIFEST]).unwrap()
    }

    /// Makes the manifest speak of the files as they are: what whoever tampers does last.
    fn list(&mut self) {
        let Ok(mut manifest) = serde_json::from_slice::<Manifest>(&self.files[MANIFEST]) else { return };
        let others = self.files.iter().filter(|(name, _)| *name != MANIFEST);
        let file = |(name, bytes): (&String, &Vec<u8>)| FileDigest {
            bytes: bytes.len() as u64,
            name: name.clone(),
            sha256: sha256_hex(bytes),
        };
        manifest.files = others.map(file).collect();
        self.files.insert(MANIFEST.into(), manifest.text().unwrap());
    }

    fn claim(&mut self, change: impl FnOnce(&mut Manifest)) {
        let mut manifest = self.manifest();
        change(&mut manifest);
        self.files.insert(MANIFEST.into(), manifest.text().unwrap());
    }

    fn lines(&self, name: &str) -> Vec<Vec<u8>> {
        self.files[name].split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    /// Changes the records, line by line, with their salts.
    fn change(&mut self, records: &str, salts: &str, change: impl FnOnce(&mut Vec<(Vec<u8>, Vec<u8>)>)) {
        let mut both: Vec<_> = self.lines(records).into_iter().zip(self.lines(salts)).collect();
        change(&mut both);
        let (lines, digits): (Vec<_>, Vec<_>) = both.into_iter().unzip();
        self.files.insert(records.into(), lines.concat());
        self.files.insert(salts.into(), digits.concat());
    }

    fn replace(&mut self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.files[name].clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        self.files.insert(name.into(), text.replacen(from, to, 1).into_bytes());
    }

    fn check(&self) -> Report {
        self.since(&[])
    }

    fn since(&self, older: &[Vec<u8>]) -> Report {
        let older = older.iter().map(|note| ("older".to_owned(), note.clone())).collect();
        check(self, &Trust { key: key_of(7), older, witnesses: Witnesses::default() }, &mut |_| {})
    }
}

fn whole() -> Made {
    static WHOLE: LazyLock<Made> = LazyLock::new(|| Made::of(&log("seq:1.."), Scope::Whole, 7));
    WHOLE.clone()
}

fn selected(filter: &str) -> Made {
    Made::of(&log(filter), Scope::Selected, 7)
}

/// A checkpoint of the first records, as it was published then.
fn earlier(log: &[Vec<u8>], seed: u8) -> Vec<u8> {
    let mut builder = TileBuilder::new();
    for bytes in log {
        builder.push(&leaf_of(&read(bytes).unwrap(), bytes).entry().unwrap()).unwrap();
    }
    let origin: KeyName = ORIGIN.parse().unwrap();
    let checkpoint = Checkpoint { origin: origin.clone(), size: builder.size(), root: builder.root() };
    checkpoint.sign(&signing(seed), &origin).into_bytes()
}

fn faults(report: &Report) -> Vec<String> {
    report.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_bundle_is_sound_and_says_what_is_in_it() {
    let made = whole();
    let report = made.check();
    assert_eq!(faults(&report), [""; 0]);
    let manifest = made.manifest();
    let size = manifest.checkpoint.size;
    assert!(size > 512, "several tiles");
    assert_eq!((report.undecided, report.proved), (0, size + manifest.context.records));
    assert!(report.signatures >= 2 && report.attachments == 1 && report.proofs == 5 && report.followed);
    let population = &manifest.population;
    assert_eq!((population.first_seq, population.records), (1, size));
    assert_eq!(population.types.values().sum::<u64>(), size);
    let open: Vec<_> = population.open_calls.listed.iter().filter(|open| open.call == call_id(1_099)).collect();
    assert_eq!(open.len(), 1, "the call without an outcome");
}

#[test]
fn a_filter_of_what_entries_say_is_complete_by_the_tree_alone() {
    let made = selected("type:decision_record seq:20..400");
    let report = made.check();
    assert_eq!(faults(&report), [""; 0]);
    assert_eq!((report.undecided, report.followed), (0, false));
    assert_eq!((made.manifest().population.first_seq, made.manifest().population.records), (20, 381));
    let types: Vec<_> = made.manifest().records.types.into_keys().collect();
    assert_eq!(types, [RecordType::DecisionRecord]);
}

#[test]
fn what_entries_do_not_say_is_counted_as_undecided() {
    let made = selected("status:done mission:pay-supplier-invoices");
    let report = made.check();
    assert_eq!(faults(&report), [""; 0]);
    let manifest = made.manifest();
    let actions = manifest.population.types[&RecordType::ActionRecord];
    assert_eq!(report.undecided, actions - manifest.selected.records, "only actions have a status");
    assert!(report.undecided > 100);
}

#[test]
fn a_bundle_that_selects_nothing_is_sound() {
    for filter in ["kind:waiver agent:nobody", "before:1999-01-01", "seq:9000.."] {
        let made = selected(filter);
        assert_eq!(faults(&made.check()), [""; 0], "{filter}");
        assert_eq!(made.manifest().selected.records, 0);
    }
}

#[test]
fn the_log_has_grown_from_every_earlier_checkpoint_and_from_no_other() {
    let records = log("seq:1..");
    let made = whole();
    for size in [0, 1, 2, 255, 256, 257, 511, 512, records.len()] {
        let report = made.since(&[earlier(&records[..size], 7)]);
        assert_eq!((faults(&report), report.grown_from), (Vec::<String>::new(), 1), "{size}");
    }
    // History that was signed anew: everything in the bundle fits, and only who kept a checkpoint sees it.
    let mut other = records.clone();
    let text = String::from_utf8(other[2].clone()).unwrap().replacen("ap-bot", "ap-bat", 1);
    assert!(text.contains("ap-bat"));
    other[2] = text.into_bytes();
    let resigned = Made::of(&other, Scope::Whole, 7);
    assert_eq!(faults(&resigned.check()), [""; 0]);
    let report = resigned.since(&[earlier(&records[..300], 7)]);
    assert_eq!(report.faults.len(), 1);
    assert!(matches!(report.faults[0].what, Wrong::Forked(_)), "{:?}", report.faults);
    // Two views of the same size, one for each of two witnesses.
    let report = made.since(&[earlier(&other, 7), earlier(&records, 7)]);
    assert_eq!((report.faults.len(), report.grown_from), (1, 1));
    assert!(matches!(report.faults[0].what, Wrong::Forked(_)), "{:?}", report.faults);
    let report = selected("seq:1..").since(&[earlier(&[records.clone(), records.clone()].concat(), 7)]);
    assert!(matches!(report.faults[..], [Fault { what: Wrong::Later { .. }, .. }]), "{:?}", report.faults);
    let report = made.since(&[earlier(&records[..9], 8), b"nothing".to_vec()]);
    assert!(report.faults.iter().all(|fault| matches!(fault.what, Wrong::Checkpoint(_))) && report.faults.len() == 2);
}

#[test]
fn tiles_that_are_not_there_cannot_show_growth() {
    let records = log("type:ledger_state seq:1..3");
    let mut made = Made::of(&records, Scope::Selected, 7);
    // The least that such a bundle needs: the entries at its start, and the right edge.
    made.files.retain(|name, _| !["tile/0/001", "tile/entries/001"].contains(&name.as_str()));
    made.files.retain(|name, _| !name.starts_with("tile/entries/002"));
    made.list();
    let report = made.check();
    // The record of the export is in the last tile.
    let last = Some(records.len() as u64);
    assert!(matches!(report.faults[0], Fault { what: Wrong::Io(_), seq, .. } if seq == last), "{:?}", faults(&report));
    let mut made = Made::of(&records, Scope::Selected, 7);
    made.files.retain(|name, _| !["tile/0/001", "tile/entries/001"].contains(&name.as_str()));
    made.list();
    assert_eq!(faults(&made.check()), [""; 0]);
    assert_eq!(faults(&made.since(&[earlier(&records[..256], 7), earlier(&records[..100], 7)])), [""; 0]);
    let report = made.since(&[earlier(&records[..300], 7)]);
    assert!(matches!(report.faults[..], [Fault { what: Wrong::Unshown(_), .. }]), "{:?}", report.faults);
}

type Tampering = (&'static str, fn(&mut Made), fn(&Fault) -> bool);

/// What is done to a bundle, and the fault that must be among those that are found. Whoever does it has the manifest say so, but does not have the log's key.
const TAMPERINGS: &[Tampering] = &[
    (
        "a letter of a record",
        |made| made.replace(RECORDS, "ap-bot", "ap-bat"),
        |fault| fault.file == RECORDS && fault.seq.is_some() && matches!(fault.what, Wrong::Record),
    ),
    (
        "a bit of a record",
        |made| made.files.get_mut(RECORDS).unwrap()[1] ^= 1,
        |fault| matches!(fault.what, Wrong::Unreadable { line: 1, .. }),
    ),
    (
        "a record is dropped",
        |made| made.change(RECORDS, RECORD_SALTS, |lines| drop(lines.remove(299))),
        |fault| fault.seq == Some(300) && matches!(fault.what, Wrong::Missing),
    ),
    (
        "a record is doubled",
        |made| made.change(RECORDS, RECORD_SALTS, |lines| lines.insert(9, lines[4].clone())),
        |fault| fault.seq == Some(5) && matches!(fault.what, Wrong::Misplaced),
    ),
    (
        "a record is made up",
        |made| {
            made.change(RECORDS, RECORD_SALTS, |lines| {
                let text = String::from_utf8(lines[399].0.clone()).unwrap().replace("\"seq\":400", "\"seq\":9400");
                lines.push((text.into_bytes(), lines[0].1.clone()));
            });
        },
        |fault| fault.seq == Some(9_400) && matches!(fault.what, Wrong::Misplaced),
    ),
    (
        "two records change places",
        |made| made.change(RECORDS, RECORD_SALTS, |lines| lines.swap(7, 8)),
        |fault| fault.seq == Some(8) && matches!(fault.what, Wrong::Misplaced),
    ),
    (
        "the end is cut off",
        |made| {
            let bytes = made.files.get_mut(RECORDS).unwrap();
            bytes.truncate(bytes.len() - 400);
        },
        |fault| fault.file == RECORDS && matches!(fault.what, Wrong::Lines(_)),
    ),
    (
        "the last records are dropped",
        |made| made.change(RECORDS, RECORD_SALTS, |lines| lines.truncate(400)),
        |fault| fault.seq == Some(401) && matches!(fault.what, Wrong::Missing),
    ),
    (
        "a salt",
        |made| made.change(RECORDS, RECORD_SALTS, |lines| lines[11].1[3] = b'7'),
        |fault| fault.seq == Some(12) && matches!(fault.what, Wrong::Record),
    ),
    (
        "a salt is missing",
        |made| {
            let salts = made.lines(RECORD_SALTS);
            made.files.insert(RECORD_SALTS.into(), salts[1..].concat());
        },
        |fault| fault.file == RECORD_SALTS && matches!(fault.what, Wrong::Lines(_)),
    ),
    (
        "another log",
        |made| *made = Made::of(&log("seq:1.."), Scope::Whole, 8),
        |fault| fault.file == LOG_KEY && matches!(fault.what, Wrong::Key),
    ),
    (
        "another log with this log's key beside",
        |made| {
            *made = Made::of(&log("seq:1.."), Scope::Whole, 8);
            made.files.insert(LOG_KEY.into(), format!("{}\n", key_of(7)).into_bytes());
        },
        |fault| fault.file == CHECKPOINT && matches!(fault.what, Wrong::Checkpoint(_)),
    ),
    (
        "the checkpoint",
        |made| made.replace(CHECKPOINT, "\n565\n", "\n563\n"),
        |fault| fault.file == CHECKPOINT && matches!(fault.what, Wrong::Checkpoint(_)),
    ),
    (
        "an older checkpoint of the log",
        |made| {
            let note = earlier(&log("seq:1..")[..500], 7);
            made.files.insert(CHECKPOINT.into(), note);
        },
        |fault| fault.file == MANIFEST && matches!(fault.what, Wrong::Claim { .. }),
    ),
    (
        "an attached file",
        |made| {
            *made.files.iter_mut().find(|(name, _)| name.starts_with(ATTACHMENTS)).unwrap().1 = b"Pay twice.".to_vec();
        },
        |fault| fault.file.starts_with(ATTACHMENTS) && matches!(fault.what, Wrong::Attachment),
    ),
    (
        "an attached file is dropped",
        |made| made.files.retain(|name, _| !name.starts_with(ATTACHMENTS)),
        |fault| fault.file.starts_with(ATTACHMENTS) && matches!(fault.what, Wrong::Io(_)),
    ),
    (
        "a file is slipped in",
        |made| drop(made.files.insert(format!("{ATTACHMENTS}note.txt"), b"x".to_vec())),
        |fault| fault.file.ends_with("note.txt") && matches!(fault.what, Wrong::Attachment),
    ),
    (
        "an entry",
        |made| {
            made.files.get_mut("tile/entries/001").unwrap()[2_000] ^= 1;
        },
        |fault| fault.file == "tile/entries/001" && matches!(fault.what, Wrong::Entry),
    ),
    (
        "a hash",
        |made| made.files.get_mut("tile/0/001").unwrap()[77] ^= 1,
        |fault| fault.file == "tile/0/001" && matches!(fault.what, Wrong::Tile),
    ),
    (
        "a hash at the right edge",
        |made| {
            let name = made.files.keys().find(|name| name.starts_with("tile/1/")).unwrap().clone();
            made.files.get_mut(&name).unwrap()[5] ^= 1;
        },
        |fault| fault.file == CHECKPOINT && matches!(fault.what, Wrong::Root),
    ),
    (
        "a tile is dropped",
        |made| made.files.retain(|name, _| name != "tile/entries/001"),
        |fault| fault.file == "tile/entries/001" && matches!(fault.what, Wrong::Io(_)),
    ),
    (
        "a tile of another size",
        |made| drop(made.files.insert("tile/0/000.p/9".into(), vec![0; 9 * 32])),
        |fault| fault.file == "tile/0/000.p/9" && matches!(fault.what, Wrong::OtherTile { .. }),
    ),
    (
        "a proof",
        |made| {
            let name = made.files.keys().find(|name| name.starts_with(PROOFS)).unwrap().clone();
            let bytes = made.files.get_mut(&name).unwrap();
            bytes[40] = if bytes[40] == b'A' { b'B' } else { b'A' };
        },
        |fault| fault.file.starts_with(PROOFS) && matches!(fault.what, Wrong::Proof(_)),
    ),
    (
        "a proof of another record",
        |made| {
            let bytes = made.files["proofs/1.tlog-proof"].clone();
            made.files.insert("proofs/2.tlog-proof".into(), bytes);
        },
        |fault| fault.seq == Some(2) && matches!(fault.what, Wrong::OtherProof),
    ),
    (
        "a key is dropped",
        |made| {
            made.change(CONTEXT, CONTEXT_SALTS, |lines| {
                lines.retain(|(line, _)| !String::from_utf8_lossy(line).contains("\"kind\":\"key\""))
            });
        },
        |fault| matches!(fault.what, Wrong::Signature(crate::verify::ReviewFlaw::Key)),
    ),
    (
        "another record beside",
        |made| {
            let line = made.lines(RECORDS)[0].clone();
            made.change(CONTEXT, CONTEXT_SALTS, |lines| lines.insert(0, (line, lines[0].1.clone())));
        },
        |fault| fault.file == CONTEXT && matches!(fault.what, Wrong::Needless),
    ),
    (
        "the record of the export is dropped",
        |made| {
            made.change(CONTEXT, CONTEXT_SALTS, |lines| drop(lines.pop()));
        },
        |fault| fault.file == CONTEXT && matches!(fault.what, Wrong::Missing),
    ),
    (
        "a schema",
        |made| made.replace("schemas/version_log.schema.json", "who", "why"),
        |fault| fault.file.starts_with("schemas/") && matches!(fault.what, Wrong::Digest { .. }),
    ),
    (
        "who exported",
        |made| made.claim(|manifest| manifest.created_by = "nobody".into()),
        |fault| matches!(fault.what, Wrong::Claim { what: "words of the export", .. }),
    ),
    (
        "how many there are",
        |made| made.claim(|manifest| *manifest.population.types.values_mut().next().unwrap() -= 1),
        |fault| matches!(fault.what, Wrong::Claim { what: "calls and pauses", .. }),
    ),
    (
        "an open call",
        |made| {
            made.claim(|manifest| {
                manifest.population.open_calls = Listed { count: 0, listed: Vec::new() };
            })
        },
        |fault| matches!(fault.what, Wrong::Claim { what: "calls and pauses", .. }),
    ),
    (
        "a shorter population",
        |made| made.claim(|manifest| manifest.population.records -= 1),
        |fault| fault.file == MANIFEST && matches!(fault.what, Wrong::Short { .. }),
    ),
    (
        "a longer population",
        |made| made.claim(|manifest| manifest.population.records += 1),
        |fault| fault.file == MANIFEST && matches!(fault.what, Wrong::Beyond { .. }),
    ),
    (
        "the manifest of a later version",
        |made| made.claim(|manifest| manifest.format = 2),
        |fault| matches!(fault.what, Wrong::Manifest(_)),
    ),
    (
        "a member of the manifest",
        |made| made.replace(MANIFEST, "{", "{\"note\": 1,"),
        |fault| matches!(fault.what, Wrong::Manifest(_)),
    ),
];

#[test]
fn every_tampering_is_found_and_named() {
    let good = whole();
    for (name, tamper, is_found) in TAMPERINGS {
        let mut made = good.clone();
        tamper(&mut made);
        if !name.contains("manifest") {
            made.list();
        }
        let report = made.check();
        assert!(report.faults.iter().any(is_found), "{name}: {:?}", faults(&report));
    }
}

#[test]
fn what_is_left_out_of_a_selection_is_missed_where_entries_say_that_it_matches() {
    let mut made = selected("type:action_record seq:..300");
    made.change(RECORDS, RECORD_SALTS, |lines| drop(lines.remove(20)));
    let fewer = |count: &mut Count| {
        count.records -= 1;
        *count.types.get_mut(&RecordType::ActionRecord).unwrap() -= 1;
    };
    made.claim(|manifest| {
        fewer(&mut manifest.records);
        fewer(&mut manifest.selected);
    });
    made.list();
    let report = made.check();
    assert!(matches!(report.faults[..], [Fault { what: Wrong::Missing, seq: Some(_), .. }]), "{:?}", faults(&report));
    // A record that was not asked for.
    let mut made = selected("type:action_record seq:..300");
    let other = log("x").swap_remove(0);
    made.change(RECORDS, RECORD_SALTS, |lines| lines.insert(0, ([other, b"\n".to_vec()].concat(), lines[0].1.clone())));
    made.list();
    assert!(made.check().faults.iter().any(|fault| matches!(fault.what, Wrong::Unasked)));
}

#[test]
fn an_altered_signature_of_a_person_is_found_even_if_the_log_signed_it() {
    let mut records = log("type:approval_record");
    let index = records.iter().position(|bytes| signer(&read(bytes).unwrap()).is_some()).unwrap();
    let text = String::from_utf8(records[index].clone()).unwrap();
    let Value::String(signature) = serde_json::from_str::<Value>(&text).unwrap()["body"]["review"]["signature"].take()
    else {
        panic!("{text}")
    };
    let (first, rest) = signature.split_at(1);
    let altered = format!("{}{rest}", if first == "A" { "B" } else { "A" });
    records[index] = text.replace(&signature, &altered).into_bytes();
    let report = Made::of(&records, Scope::Selected, 7).check();
    let found: Vec<_> =
        report.faults.iter().map(|fault| (fault.seq, matches!(fault.what, Wrong::Signature(_)))).collect();
    assert_eq!(found, [(Some(index as u64 + 1), true)], "{:?}", faults(&report));
}

#[test]
fn an_act_without_its_record_is_found_in_a_whole_log() {
    // Whoever has the log's key leaves a decision out before anything is signed.
    let records = log("seq:1..");
    let index = records.len() - 3;
    let Body::Decision(_) = read(&records[index - 1]).unwrap().body else { panic!("a decision") };
    let drafts = records.iter().enumerate().filter(|(at, _)| *at != index - 1).map(|(_, bytes)| read(bytes).unwrap());
    let renumbered: Vec<Vec<u8>> = drafts
        .zip(1..)
        .map(|(record, seq)| serde_json::to_vec(&Record { seq, id: record_id(seq), ..record }).unwrap())
        .collect();
    let report = Made::of(&renumbered, Scope::Whole, 7).check();
    assert!(
        report.faults.iter().any(|fault| fault.seq == Some(index as u64)
            && matches!(&fault.what, Wrong::Flaw(flaw) if matches!(**flaw, crate::verify::Flaw::NotAllowed { .. }))),
        "{:?}",
        faults(&report)
    );
}

#[test]
fn a_manifest_fits_its_schema_and_the_schema_is_closed() {
    let schema: Value = serde_json::from_str(include_str!("../../../../schemas/bundle/manifest.schema.json")).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let made = whole();
    let manifest: Value = serde_json::from_slice(&made.files[MANIFEST]).unwrap();
    let errors: Vec<_> = validator.iter_errors(&manifest).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    for pointer in [
        "",
        "/checkpoint",
        "/population",
        "/population/pauses",
        "/population/open_calls/listed/0",
        "/files/0",
        "/records",
    ] {
        let mut more = manifest.clone();
        more.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert("zz".into(), Value::Null);
        assert!(!validator.is_valid(&more), "{pointer}");
        assert!(serde_json::from_value::<Manifest>(more).is_err(), "{pointer}");
        let members: Vec<String> = manifest.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        for member in members {
            let mut less = manifest.clone();
            less.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(&member);
            let by_code = serde_json::from_value::<Manifest>(less.clone()).is_ok();
            assert_eq!(validator.is_valid(&less), by_code, "{pointer}/{member}");
        }
    }
    for line in made.lines(RECORDS) {
        let record: Value = serde_json::from_slice(&line).unwrap();
        let name = format!("schemas/{}.schema.json", record["type"].as_str().unwrap());
        let schema = serde_json::from_slice(&made.files[&name]).unwrap();
        assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&record), "{record}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any byte of anything that the log vouches for, by somebody who makes the manifest anew.
    #[test]
    fn no_flipped_bit_passes(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut made = whole();
        let names: Vec<String> = made.files.keys().filter(|name| *name != MANIFEST).cloned().collect();
        let name = file.get(&names);
        let bytes = made.files.get_mut(name).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(!made.check().is_sound(), "{} byte {}", name, at);
        made.list();
        prop_assert!(!made.check().is_sound(), "{} byte {} and the manifest", name, at);
    }

    #[test]
    fn hostile_files_do_not_panic(name in prop::sample::select(vec![MANIFEST, CHECKPOINT, RECORDS, RECORD_SALTS, CONTEXT, "tile/0/000", "tile/entries/000", "tile/x", "proofs/1.tlog-proof", "proofs/-1", "attachments/"]), bytes: Vec<u8>) {
        let mut made = selected("seq:1..9");
        made.files.insert(name.into(), bytes);
        let _ = made.check();
        made.list();
        let _ = made.check();
    }
}
