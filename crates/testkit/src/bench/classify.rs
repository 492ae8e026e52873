//! `countersign-bench classify`: how much the detector finds of the corpus, by class, and how fast it looks, beside a copy in memory, a search for literals and a set of
//! patterns over the same bytes, in turns.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aho_corasick::AhoCorasick;
use anyhow::Context as _;
use clap::Args;
use governance::classify::detect::{Detector, Finding, Stream};
use regex::bytes::RegexSet;
use serde::Deserialize;

use super::missions::resident_kib;
use super::usage;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder with the labelled cases.
    #[arg(long, value_name = "FOLDER", default_value = "corpus/classify")]
    pub corpus: PathBuf,
    /// How much text of each kind is looked at.
    #[arg(long, default_value_t = 8)]
    pub mebibytes: usize,
    /// How much goes through one stream, whose memory is looked at.
    #[arg(long, default_value_t = 1_024)]
    pub stream_mebibytes: usize,
    /// How often each window is repeated.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
}

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    expected: Vec<Expected>,
    id: String,
    /// The one kind that it must not be taken for; none at all where it is left out.
    not: Option<String>,
    text: Pieces,
}

#[derive(Deserialize)]
struct Expected {
    class: String,
    end: usize,
    start: usize,
}

/// A text, in pieces where the whole would look like a credential to whoever searches the repository for them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pieces {
    Many(Vec<String>),
    One(String),
}

/// What was counted of one class.
#[derive(Default)]
struct Tally {
    /// Values that are there.
    expected: usize,
    /// Of those, how many are found.
    hit: usize,
    /// What is found in the cases of the corpus, by its class.
    found: usize,
    /// Of that, how much is there.
    right: usize,
}

/// Measures and prints.
///
/// # Errors
/// When the corpus cannot be read, or a text that a case holds takes more work than it may.
pub fn run(options: &Options) -> anyhow::Result<()> {
    println!("{}", usage::machine());
    let detector = Detector::default();
    found(&detector, &options.corpus)?;
    speed(&detector, options);
    pieces(&detector);
    stream(&detector, options.stream_mebibytes)
}

fn found(detector: &Detector, folder: &Path) -> anyhow::Result<()> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("read `{}`", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let (mut classes, mut clean, mut flagged) = (BTreeMap::<String, Tally>::new(), 0_usize, 0_usize);
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| format!("read `{}`", file.display()))?;
        for line in text.lines() {
            let case: Case =
                serde_json::from_str(line).with_context(|| format!("read a case of `{}`", file.display()))?;
            let text = match case.text {
                Pieces::Many(pieces) => pieces.concat(),
                Pieces::One(text) => text,
            };
            let scan = detector.scan(text.as_bytes());
            anyhow::ensure!(scan.is_complete(), "`{}` takes more work than a text may", case.id);
            if case.expected.is_empty() {
                let is_wrong = |found: &Finding| case.not.as_ref().is_none_or(|not| found.kind.name == not);
                clean += 1;
                flagged += usize::from(scan.findings().iter().any(is_wrong));
                continue;
            }
            let is_there = |found: &Finding, expected: &Expected| {
                found.kind.class.name() == expected.class && found.start < expected.end && expected.start < found.end
            };
            for expected in &case.expected {
                let tally = classes.entry(expected.class.clone()).or_default();
                tally.expected += 1;
                tally.hit += usize::from(scan.findings().iter().any(|found| is_there(found, expected)));
            }
            for found in scan.findings() {
                let tally = classes.entry(found.kind.class.name().to_owned()).or_default();
                tally.found += 1;
                tally.right += usize::from(case.expected.iter().any(|expected| is_there(found, expected)));
            }
        }
    }
    println!("{:14} {:>8} {:>8} {:>10} {:>8}", "class", "values", "recall", "findings", "precision");
    for (class, Tally { expected, hit, found, right }) in classes {
        let part = |of: usize, all: usize| of as f64 / all.max(1) as f64;
        println!("{class:14} {expected:>8} {:>8.3} {found:>10} {:>8.3}", part(hit, expected), part(right, found));
    }
    println!("clean cases    {clean:>8}, of them flagged {flagged}\n");
    Ok(())
}

/// Answers of APIs as tools give them: names that repeat, ids, digests, moments, addresses of pages, and nothing that is anybody's business.
fn answers(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 1_024);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    text.push('[');
    while text.len() < bytes {
        let (id, digest, minute) = (next() % 900_000 + 1_000, next(), next() % 60);
        let _ = write!(
            text,
            concat!(
                r#"{{"id":{},"node_id":"I_{:011x}","number":{},"title":"Timeout when the index is rebuilt","state":"open","locked":false,"#,
                r#""labels":[{{"name":"bug","color":"d73a4a","default":true}}],"comments":{},"created_at":"2026-03-{:02}T09:{:02}:12Z","#,
                r#""html_url":"https://git.example/team/store/issues/{}","sha":"{:016x}{:016x}{:08x}","etag":"W/\"{:x}\"","#,
                r#""body":"The rebuild stops after a while when two readers are open. See the log of run {} for details.","#,
                r#""user":{{"login":"build-bot","type":"Bot","site_admin":false}},"milestone":null,"draft":false,"size":{},"ratio":0.{}}},"#
            ),
            id,
            digest >> 20,
            id % 9_000,
            minute,
            minute % 28 + 1,
            minute,
            id % 9_000,
            digest,
            next(),
            next() as u32,
            digest >> 32,
            id,
            digest % 100_000,
            minute + 10
        );
    }
    text.push_str("null]");
    text
}

/// The same, spread over lines.
fn pretty(compact: &str) -> String {
    compact
        .replace("\",\"", "\",\n    \"")
        .replace(",\"", ",\n    \"")
        .replace("\":", "\": ")
        .replace("{\"", "{\n    \"")
}

/// The same, as a text inside of a message.
fn escaped(compact: &str) -> String {
    format!(
        r#"{{"content":[{{"type":"text","text":{}}}],"isError":false}}"#,
        serde_json::Value::String(compact.to_owned())
    )
}

/// Names that other detectors search for in every byte.
const LITERALS: [&str; 16] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "authorization",
    "bearer",
    "private key",
    "credential",
    "iban",
    "ssn",
    "passport",
    "card",
    "phone",
    "email",
];

/// And patterns.
const PATTERNS: [&str; 8] = [
    r"AKIA[0-9A-Z]{16}",
    r"gh[pousr]_[0-9A-Za-z]{36}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\b(?:\d[ -]?){13,19}\b",
    r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b",
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"(?i)(?:password|secret|token)\W{1,4}\S{8,}",
];

fn speed(detector: &Detector, options: &Options) {
    let bytes = options.mebibytes << 20;
    let compact = answers(bytes);
    let literals = AhoCorasick::builder().ascii_case_insensitive(true).build(LITERALS);
    let patterns = RegexSet::new(PATTERNS);
    let mut room = vec![0_u8; compact.len() * 2];
    println!(
        "{:10} {:>12} {:>14} {:>12} {:>12}   (GB/s, the best of {} rounds, in turns)",
        "answers", "detector", "16 literals", "8 patterns", "copy", options.rounds
    );
    for (name, text) in [("compact", compact.clone()), ("pretty", pretty(&compact)), ("escaped", escaped(&compact))] {
        let text = text.as_bytes();
        let mut best = [Duration::MAX; 4];
        for _ in 0..options.rounds {
            let mut clock = |place: usize, work: &mut dyn FnMut()| {
                let started = Instant::now();
                work();
                if let Some(best) = best.get_mut(place) {
                    *best = (*best).min(started.elapsed());
                }
            };
            clock(0, &mut || {
                black_box(detector.scan(black_box(text)));
            });
            if let Ok(literals) = &literals {
                clock(1, &mut || {
                    black_box(literals.find_iter(black_box(text)).count());
                });
            }
            if let Ok(patterns) = &patterns {
                // A text at a time, as results come: a set stops where all of it was seen.
                clock(2, &mut || {
                    black_box(black_box(text).chunks(1 << 10).filter(|piece| patterns.is_match(piece)).count());
                });
            }
            room.resize(text.len(), 0);
            clock(3, &mut || room.copy_from_slice(black_box(text)));
            black_box(&room);
        }
        let [scan, literals, patterns, copy] = best.map(|time| text.len() as f64 / time.as_secs_f64() / 1e9);
        println!("{name:10} {scan:>12.3} {literals:>14.3} {patterns:>12.3} {copy:>12.1}");
    }
}

/// What one result of a usual size waits for.
fn pieces(detector: &Detector) {
    let text = answers(1 << 20);
    let mut times: Vec<Duration> = text
        .as_bytes()
        .chunks_exact(1 << 10)
        .flat_map(|piece| {
            (0..4).map(move |_| {
                let started = Instant::now();
                black_box(detector.scan(black_box(piece)));
                started.elapsed()
            })
        })
        .collect();
    times.sort_unstable();
    let at =
        |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default().as_secs_f64() * 1e6;
    println!("\n1 KiB: p50 {:.1} us, p99 {:.1} us, of {} looks", at(0.5), at(0.99), times.len());
}

/// Whether memory stays what it was however much goes through.
fn stream(detector: &Detector, mebibytes: usize) -> anyhow::Result<()> {
    let piece = answers(1 << 20);
    let (mut findings, mut found) = (Vec::new(), 0);
    let mut stream = Stream::new(detector);
    stream.push(piece.as_bytes(), &mut findings);
    let (before, started) = (resident_kib()?, Instant::now());
    for _ in 1..mebibytes {
        stream.push(black_box(piece.as_bytes()), &mut findings);
        found += findings.len();
        findings.clear();
    }
    let is_complete = stream.finish(&mut findings);
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "a stream of {mebibytes} MiB: {:.3} GB/s, {} KiB more in memory at its end, complete: {is_complete}, findings: {}",
        (mebibytes << 20) as f64 / seconds / 1e9,
        resident_kib()?.saturating_sub(before),
        found + findings.len()
    );
    Ok(())
}
