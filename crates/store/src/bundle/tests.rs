//! Bundles of a real ledger: written, packed, opened and checked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use evidence::bundle::{Files as _, MANIFEST, Manifest, Scope, Trust, check, read_file};
use evidence::cosignature::Witnesses;
use evidence::leaf::sha256_hex;
use evidence::record::{Context, Draft, EvidenceAccess, Link, Status, VersionLog, VersionedKind, VersionedObject};

use super::{Bundle, Under, Wanted, WriteError, write};
use crate::conformance::{at, begun, ended, options};
use crate::{Ledger, Reader};

const TICKET: &[u8] = b"Who asked, and who agreed.";

/// A home with a closed ledger of so many calls, a file that is attached to its fourth record, and an export; the number of the record of that.
fn home(calls: u64, filter: &str) -> (tempfile::TempDir, u64) {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path(), options()).unwrap();
    let mut fourth = None;
    for n in 0..calls {
        ledger.append_blocking(begun(n)).unwrap();
        let receipts = ledger.append_blocking(ended(n, Status::Done)).unwrap();
        fourth = fourth.or(receipts.last().map(|receipt| receipt.id));
    }
    let linked = VersionLog {
        approval: None,
        difference: Vec::new(),
        direction: None,
        from: None,
        object: VersionedObject { kind: VersionedKind::Attachment, name: fourth.unwrap().to_string().into() },
        state: None,
        to: sha256_hex(TICKET).into(),
        who: "ana".into(),
        why: "test".into(),
    };
    let (bytes, sha256) = (TICKET.len() as u64, sha256_hex(TICKET));
    let link = Link { bytes, media_type: "text/plain".into(), rel: "ticket".into(), sha256 };
    let linked = Draft { links: vec![link], ..Draft::new(Context::system().into(), None, at(1), linked) };
    ledger.append_blocking(vec![linked]).unwrap();
    let (filter, who, why) = (Some(filter.to_owned()), "audit".to_owned(), "test".to_owned());
    let access = EvidenceAccess { channel: "cli".into(), filter, look: None, who, why };
    let receipts = ledger.append_blocking(vec![Draft::new(Context::system().into(), None, at(2), access)]).unwrap();
    ledger.close_blocking().unwrap();
    (home, receipts[0].seq)
}

fn export(home: &Path, access_seq: u64, scope: Scope, out: &Path) -> Result<Manifest, WriteError> {
    let content = |sha256: &str| Ok((sha256 == sha256_hex(TICKET)).then(|| TICKET.to_vec()));
    let wanted = Wanted {
        access_seq,
        attachments: &content,
        older: Vec::new(),
        scope,
        under: Under::Signed,
        version: "0.1.0".into(),
    };
    write(&Reader::open(home).unwrap(), &wanted, out, &mut |_, _| {})
}

/// Every file of a bundle; faults that were found.
fn read(home: &Path, path: &Path) -> (BTreeMap<String, Vec<u8>>, Vec<String>) {
    let bundle = Bundle::open(path).unwrap();
    let names = bundle.names();
    let files = names.into_iter().map(|name| (name.clone(), read_file(&bundle, &name, 1 << 30).unwrap())).collect();
    let key = fs::read_to_string(home.join("keys/log.vkey")).unwrap().trim_end().parse().unwrap();
    let report = check(&bundle, &Trust { key, older: Vec::new(), witnesses: Witnesses::default() }, &mut |_| {});
    (files, report.faults.iter().map(ToString::to_string).collect())
}

#[test]
fn a_bundle_of_a_ledger_is_sound_and_the_same_as_folder_and_as_tar() {
    for (filter, scope) in [("status:done", Scope::Selected), ("seq:1..", Scope::Whole), ("seq:3..9", Scope::Selected)]
    {
        let (home, access) = home(200, filter);
        let (folder, tar) = (home.path().join("out"), home.path().join("out.tar"));
        let manifest = export(home.path(), access, scope, &folder).unwrap();
        assert_eq!(export(home.path(), access, scope, &tar).unwrap(), manifest);
        let ((in_folder, faults), (in_tar, faults_of_tar)) = (read(home.path(), &folder), read(home.path(), &tar));
        assert_eq!((faults, faults_of_tar), (Vec::new(), Vec::new()), "{filter}");
        assert_eq!(in_folder, in_tar);
        let again = home.path().join("again.tar");
        export(home.path(), access, scope, &again).unwrap();
        assert_eq!(fs::read(&tar).unwrap(), fs::read(&again).unwrap(), "the same bytes each time");
        assert!(in_folder.keys().any(|name| name.starts_with("attachments/")) && in_folder.contains_key(MANIFEST));
        let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 6, "nothing unfinished stays: {left:?}");
    }
}

#[test]
fn there_is_no_bundle_of_what_is_not_signed_or_not_recorded() {
    let (home, access) = home(3, "seq:1..");
    let out = home.path().join("out");
    let refused = |access| export(home.path(), access, Scope::Whole, &out).unwrap_err();
    assert!(matches!(refused(access + 100), WriteError::Unsigned { .. }));
    assert!(matches!(refused(1), WriteError::Unrecorded { seq: 1 }));
    fs::create_dir(&out).unwrap();
    assert!(matches!(refused(access), WriteError::Io { .. }), "nothing is written over");
    fs::remove_dir(&out).unwrap();

    // A record that was changed on disk, its frame made to fit: what was signed is another one.
    let segment = fs::read_dir(home.path().join("ledger/segments")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|path| path.extension().is_some_and(|end| end == "seg")).min().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let place = bytes.windows(6).position(|part| part == b"ap-bot").unwrap();
    bytes[place + 4] = b'0';
    fs::write(&segment, bytes).unwrap();
    assert!(matches!(refused(access), WriteError::Read(_) | WriteError::Unsound { .. }));
    assert!(!out.exists() && fs::read_dir(home.path()).unwrap().count() == 3, "nothing stays behind");
}

#[test]
fn a_damaged_tar_file_is_no_bundle() {
    let (home, access) = home(3, "seq:1..");
    let tar = home.path().join("out.tar");
    export(home.path(), access, Scope::Selected, &tar).unwrap();
    let good = fs::read(&tar).unwrap();
    let opened = |bytes: &[u8]| {
        fs::write(&tar, bytes).unwrap();
        Bundle::open(&tar).map(|bundle| bundle.names().len()).map_err(|error| error.to_string())
    };
    let files = opened(&good).unwrap();
    assert!(files > 15);
    assert!(opened(&good[..700]).unwrap_err().contains("the tar file ends within"));
    assert!(opened(&good[..1_000]).unwrap_err().contains("ends"));
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    assert!(opened(&flipped).unwrap_err().contains("no header"));
    let first = 512
        + 512
            * usize::try_from(u64::from_str_radix(std::str::from_utf8(&good[124..135]).unwrap(), 8).unwrap())
                .unwrap()
                .div_ceil(512);
    let doubled = [&good[..first], &good].concat();
    assert!(opened(&doubled).unwrap_err().contains("twice"));
    assert!(opened(b"").unwrap_err().contains("ends"));

    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("records.jsonl")).unwrap();
    assert!(Bundle::open(&folder).unwrap_err().to_string().contains("neither file nor folder"));
    let missing = Bundle::open(&home.path().join("nowhere")).unwrap_err();
    assert!(missing.to_string().contains("nowhere"));
}

/// It was exported once, and verifies for ever.
#[test]
fn the_frozen_bundle_verifies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/bundle");
    let key = fs::read_to_string(folder.join("v1.vkey")).unwrap().trim_end().parse().unwrap();
    let trust = Trust { key, older: Vec::new(), witnesses: Witnesses::default() };
    let report = check(&Bundle::open(&folder.join("v1")).unwrap(), &trust, &mut |_| {});
    assert!(report.is_sound(), "{:?}", report.faults);
}
