//! The cases of `corpus/classify`: how much of what is there is found, how seldom what is not.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{Detector, Finding};
use crate::mission::KINDS;

/// The smallest part of the secrets that is found, of those where any is.
const RECALL_MIN: f64 = 0.99;

/// The smallest part of everything else that is found.
const OTHERS_RECALL_MIN: f64 = 0.99;

/// The largest part of the cases without any where one is found all the same.
const FALSE_MAX: f64 = 0.002;

struct Case {
    id: String,
    text: String,
    expected: Vec<(String, usize, usize)>,
    not: Option<String>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/classify");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files.iter().flat_map(|file| std::fs::read_to_string(file).unwrap().lines().map(case).collect::<Vec<_>>()).collect()
}

fn case(line: &str) -> Case {
    let case: Value = serde_json::from_str(line).unwrap();
    let text = match &case["text"] {
        Value::Array(pieces) => pieces.iter().map(|piece| piece.as_str().unwrap()).collect(),
        text => text.as_str().unwrap().to_owned(),
    };
    let place = |value: &Value, name: &str| usize::try_from(value[name].as_u64().unwrap()).unwrap();
    let expected = case["expected"].as_array().into_iter().flatten();
    Case {
        id: case["id"].as_str().unwrap().to_owned(),
        expected: expected
            .map(|value| (value["class"].as_str().unwrap().to_owned(), place(value, "start"), place(value, "end")))
            .collect(),
        not: case["not"].as_str().map(str::to_owned),
        text,
    }
}

#[test]
fn the_corpus_is_found_and_little_else() {
    let detector = Detector::default();
    let mut recall = BTreeMap::<bool, (usize, usize)>::new();
    let (mut clean, mut flagged) = (0_usize, 0_usize);
    let mut failing = Vec::new();
    for case in cases() {
        let scan = detector.scan(case.text.as_bytes());
        assert!(scan.is_complete(), "{}", case.id);
        for found in scan.findings() {
            let kind = format!("{}.{}", found.kind.class.name(), found.kind.name);
            assert!(
                KINDS.binary_search(&kind.as_str()).is_ok(),
                "{} has a {kind}, which missions cannot name",
                case.id
            );
        }
        if case.expected.is_empty() {
            let wrong = |found: &&Finding| case.not.as_ref().is_none_or(|not| found.kind.name == not);
            clean += 1;
            if let Some(found) = scan.findings().iter().find(wrong) {
                flagged += 1;
                failing.push(format!("{} has no {}", case.id, found.kind.name));
            }
        }
        for (class, start, end) in &case.expected {
            let hit = scan
                .findings()
                .iter()
                .any(|found| found.kind.class.name() == class && found.start < *end && *start < found.end);
            let (count, hits) = recall.entry(class == "secret").or_default();
            *count += 1;
            *hits += usize::from(hit);
            if !hit {
                failing.push(format!("{} has a {class} at {start}", case.id));
            }
        }
    }
    let part = |(count, hits): (usize, usize)| hits as f64 / count.max(1) as f64;
    let (secrets, others) = (recall.get(&true).copied().unwrap_or_default(), recall.get(&false).copied());
    println!("secrets {:.3}, others {:?}, false {flagged} of {clean}", part(secrets), others.map(part));
    let holds = part(secrets) >= RECALL_MIN
        && others.is_none_or(|others| part(others) >= OTHERS_RECALL_MIN)
        && part((clean, flagged)) <= FALSE_MAX;
    assert!(holds, "secrets {secrets:?}, others {others:?}, false {flagged} of {clean}:\n{}", failing.join("\n"));
}
