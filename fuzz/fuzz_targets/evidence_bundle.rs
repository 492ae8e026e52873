//! No edit of a sound bundle is sound, and none makes the check panic or run away.
//!
//! The input says which file of the frozen bundle is edited, where and how. Of the manifest another spelling may mean the same, so there the check has only to come to an end.
#![no_main]

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::Path;
use std::sync::LazyLock;

use evidence::bundle::{Files, MANIFEST, Trust, check};
use evidence::cosignature::Witnesses;
use libfuzzer_sys::fuzz_target;

const KEY: &str = include_str!("../../corpus/bundle/v1.vkey");

/// The frozen bundle.
static FROZEN: LazyLock<Bundle> = LazyLock::new(|| {
    let mut files = BTreeMap::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/bundle/v1")), "", &mut files);
    Bundle(files)
});

#[derive(Clone)]
struct Bundle(BTreeMap<String, Vec<u8>>);

fn read(folder: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("the frozen bundle is there") {
        let entry = entry.expect("an entry");
        let name = format!("{below}{}", entry.file_name().display());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read(entry.path()).expect("a file"));
        }
    }
}

impl Files for Bundle {
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn BufRead + '_>> {
        let bytes = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}

/// Edits one file: which, how, where, and with what.
fn edited(bytes: &[u8]) -> Option<(String, Bundle)> {
    let ([which, how, low, high], text) = bytes.split_first_chunk::<4>()?;
    let mut bundle = FROZEN.clone();
    let name = bundle.0.keys().nth(usize::from(*which) % bundle.0.len())?.clone();
    let file = bundle.0.get_mut(&name)?;
    let at = usize::from(u16::from_le_bytes([*low, *high])) % (file.len() + 1);
    let after = file.split_off(at);
    match how % 4 {
        // In the place of what is there, before it, or instead of all that follows.
        0 => file.extend(text.iter().chain(after.iter().skip(text.len()))),
        1 => file.extend(text.iter().chain(&after)),
        2 => file.extend(text),
        _ => file.extend(after.iter().skip(text.len())),
    }
    Some((name, bundle))
}

fuzz_target!(|bytes: &[u8]| {
    let trust = || Trust {
        key: KEY.trim_end().parse().expect("the frozen key"),
        older: Vec::new(),
        witnesses: Witnesses::default(),
    };
    let Some((name, bundle)) = edited(bytes) else {
        assert!(check(&*FROZEN, &trust(), &mut |_| {}).is_sound(), "the frozen bundle");
        return;
    };
    let report = check(&bundle, &trust(), &mut |_| {});
    let is_same = bundle.0.get(&name) == FROZEN.0.get(&name);
    assert!(name == MANIFEST || report.is_sound() == is_same, "`{name}` was edited");
});
