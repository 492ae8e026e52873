//! That the JSON Schemas, the frozen corpus and the reference in `docs/evidence.md` say what the code does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::Value;

use crate::checkpoint::{Checkpoint, KeyName, VerifierKey};
use crate::leaf::{Leaf, commitment};
use crate::record::approval::{Answer, ApprovalEvent, Assurance, Resolution};
use crate::record::{
    self, ActionEvent, Capture, Content, DecisionPoint, Effect, EffectClass, Endpoint, ExceptionEvent, ExceptionKind,
    LedgerEvent, Origin, RecordType, Status, Surface, TargetRole, Unkept, VersionedKind, read,
};
use crate::tile::{Tile, TileBuilder};
use crate::verify::LedgerCheck;
use crate::{arbitrary, examples};

const SCHEMAS: [(RecordType, &str); 8] = [
    (RecordType::ActionRecord, include_str!("../../../schemas/evidence/action_record.schema.json")),
    (RecordType::ApprovalRecord, include_str!("../../../schemas/evidence/approval_record.schema.json")),
    (RecordType::DecisionRecord, include_str!("../../../schemas/evidence/decision_record.schema.json")),
    (RecordType::EvidenceAccess, include_str!("../../../schemas/evidence/evidence_access.schema.json")),
    (RecordType::ExceptionRecord, include_str!("../../../schemas/evidence/exception_record.schema.json")),
    (RecordType::LedgerState, include_str!("../../../schemas/evidence/ledger_state.schema.json")),
    (RecordType::RequestContext, include_str!("../../../schemas/evidence/request_context.schema.json")),
    (RecordType::VersionLog, include_str!("../../../schemas/evidence/version_log.schema.json")),
];

const DOCS: &str = include_str!("../../../docs/evidence.md");

fn schemas() -> BTreeMap<RecordType, Value> {
    let parsed = SCHEMAS.map(|(record_type, text)| (record_type, serde_json::from_str(text).unwrap()));
    let all = BTreeMap::from(parsed);
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), RecordType::ALL, "every type has a schema");
    all
}

fn validators() -> BTreeMap<RecordType, Validator> {
    schemas()
        .into_iter()
        .map(|(record_type, schema)| (record_type, jsonschema::validator_for(&schema).unwrap()))
        .collect()
}

/// The example records: name, type and value.
fn records() -> Vec<(&'static str, RecordType, Value)> {
    let written = examples::drafts().into_iter().zip(1..).map(|((name, draft), seq)| {
        let bytes = examples::written(&draft, seq);
        (name, draft.body.record_type(), serde_json::from_slice(&bytes).unwrap())
    });
    written.collect()
}

fn is_readable(value: &Value) -> bool {
    read(&serde_json_canonicalizer::to_vec(value).unwrap()).is_ok()
}

/// The JSON pointers of all objects in `value`, itself first.
fn objects(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                out.push(at.to_owned());
                members.iter().for_each(|(name, member)| walk(member, &format!("{at}/{name}"), out));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, item)| walk(item, &format!("{at}/{n}"), out));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut out = Vec::new();
    walk(value, "", &mut out);
    out
}

fn members<'a>(value: &'a mut Value, pointer: &str) -> &'a mut serde_json::Map<String, Value> {
    value.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap()
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// The schema that holds for the object at `pointer`.
fn schema_at<'a>(root: &'a Value, pointer: &str) -> &'a Value {
    pointer.split('/').skip(1).fold(root, |schema, step| {
        resolved(root, if step.parse::<usize>().is_ok() { &schema["items"] } else { &schema["properties"][step] })
    })
}

/// The fields that the code reads in the object at `pointer`, from its own refusal of an unknown one.
fn fields_in_code(record: &Value, pointer: &str) -> BTreeSet<String> {
    let mut record = record.clone();
    members(&mut record, pointer).insert("\u{0}".into(), Value::Null);
    let error = read(&serde_json_canonicalizer::to_vec(&record).unwrap()).unwrap_err().to_string();
    let (_, expected) = error.split_once("expected").unwrap_or_else(|| panic!("{pointer}: {error}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn schemas_are_closed_described_and_named() {
    fn walk(schema: &Value, at: &str) {
        match schema {
            Value::Object(members) => {
                if members.get("type").and_then(Value::as_str) == Some("object") {
                    assert_eq!(members.get("additionalProperties"), Some(&Value::Bool(false)), "{at}");
                    for (name, property) in members["properties"].as_object().unwrap() {
                        assert!(
                            property["description"].as_str().is_some_and(|text| text.ends_with('.')),
                            "{at}/{name}"
                        );
                    }
                }
                members.iter().for_each(|(name, member)| walk(member, &format!("{at}/{name}")));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, at)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let (mut shared, mut headers) = (BTreeMap::new(), BTreeMap::new());
    for (record_type, schema) in schemas() {
        assert!(jsonschema::meta::is_valid(&schema));
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], format!("https://countersign.dev/schemas/evidence/{record_type}/{}", record::SCHEMA));
        assert_eq!(schema["properties"]["type"]["const"], record_type.as_str());
        assert_eq!(schema["properties"]["schema"]["const"], record::SCHEMA);
        walk(&schema, record_type.as_str());
        // What several schemas have in common is the same in all of them.
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            assert_eq!(shared.entry(name.clone()).or_insert_with(|| definition.clone()), definition, "{name}");
        }
        for (name, property) in schema["properties"].as_object().unwrap() {
            if !matches!(name.as_str(), "body" | "type") {
                assert_eq!(headers.entry(name.clone()).or_insert_with(|| property.clone()), property, "{name}");
            }
        }
    }
}

/// The JSON pointers of all objects that `schema` describes, with 0 for the elements of a list.
fn described(root: &Value, schema: &Value, at: &str) -> Vec<String> {
    let schema = resolved(root, schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    let inner = properties
        .into_iter()
        .flatten()
        .flat_map(|(name, property)| described(root, property, &format!("{at}/{name}")));
    let items = schema.get("items").into_iter().flat_map(|items| described(root, items, &format!("{at}/0")));
    properties.map(|_| at.to_owned()).into_iter().chain(inner).chain(items).collect()
}

#[test]
fn schemas_have_the_fields_of_the_code() {
    let schemas = schemas();
    let mut reached = BTreeSet::new();
    for (name, record_type, record) in records() {
        for pointer in objects(&record) {
            let schema = schema_at(&schemas[&record_type], &pointer);
            let in_schema: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(in_schema, fields_in_code(&record, &pointer), "{name} {pointer}");
            let of = if pointer.starts_with("/body") { record_type.as_str() } else { "header" };
            reached.insert(format!("{of}{pointer}"));
        }
    }
    // The examples show every object, so that the comparison above has seen all of them.
    for (record_type, schema) in &schemas {
        for pointer in described(schema, schema, "") {
            let of = if pointer.starts_with("/body") { record_type.as_str() } else { "header" };
            assert!(reached.contains(&format!("{of}{pointer}")), "no example of {of}{pointer}");
        }
    }
}

#[test]
fn schemas_refuse_unknown_and_missing_fields_as_the_code_does() {
    let validators = validators();
    for (name, record_type, record) in records() {
        let validator = &validators[&record_type];
        let check = |changed: &Value, what: &str| {
            let (by_schema, by_code) = (validator.is_valid(changed), is_readable(changed));
            // Only the schema says which fields go with which event of an action.
            let by_event = record_type == RecordType::ActionRecord && what.ends_with("/body/status");
            assert!(by_schema == by_code || by_event, "{name} {what}: schema {by_schema}, code {by_code}");
            by_schema
        };
        assert!(check(&record, "as it is"));
        for pointer in objects(&record) {
            let mut more = record.clone();
            members(&mut more, &pointer).insert("zz_unknown".into(), Value::Null);
            assert!(!check(&more, &format!("with {pointer}/zz_unknown")));
            let names: Vec<_> = record.pointer(&pointer).unwrap().as_object().unwrap().keys().cloned().collect();
            for field in names {
                let mut less = record.clone();
                members(&mut less, &pointer).remove(&field);
                check(&less, &format!("without {pointer}/{field}"));
                let mut other = record.clone();
                members(&mut other, &pointer).insert(field.clone(), Value::Bool(true));
                assert!(!check(&other, &format!("with true at {pointer}/{field}")));
            }
        }
    }
    for (record_type, validator) in validators {
        for (name, other, record) in records() {
            assert_eq!(validator.is_valid(&record), other == record_type, "{record_type} {name}");
        }
    }
}

#[test]
fn an_intent_has_no_outcome_and_an_outcome_has_a_status() {
    let validator = &validators()[&RecordType::ActionRecord];
    let of = |wanted: &str| records().into_iter().find(|(name, ..)| *name == wanted).unwrap().2;
    for (field, value) in of("action_record-outcome")["body"].as_object().unwrap() {
        let mut intent = of("action_record-intent");
        let is_new = intent["body"].get(field).is_none();
        intent["body"][field] = value.clone();
        assert_eq!(validator.is_valid(&intent), !is_new && field != "event", "{field}");
    }
    let mut outcome = of("action_record-outcome");
    members(&mut outcome, "/body").remove("status");
    assert!(!validator.is_valid(&outcome));
}

#[test]
fn schemas_have_the_words_of_the_code() {
    let schemas = schemas();
    let check = |record_type: RecordType, pointer: &str, words: Vec<&str>| {
        let root = &schemas[&record_type];
        assert_eq!(schema_at(root, pointer)["enum"], serde_json::json!(words), "{record_type}{pointer}");
    };
    macro_rules! check {
        ($type:ident $pointer:literal $words:ident) => {
            check(RecordType::$type, $pointer, $words::ALL.iter().map(|word| word.as_str()).collect())
        };
    }
    check!(RequestContext "/body/channel/surface" Surface);
    check!(DecisionRecord "/body/effect" Effect);
    check!(DecisionRecord "/body/point" DecisionPoint);
    check!(DecisionRecord "/body/input/tool/endpoint" Endpoint);
    check!(DecisionRecord "/body/input/confirmed" EffectClass);
    check!(DecisionRecord "/body/input/provenance/0/origin" Origin);
    check!(DecisionRecord "/body/input/provenance/0/role" TargetRole);
    check!(ActionRecord "/body/effect_class" EffectClass);
    check!(ActionRecord "/body/event" ActionEvent);
    check!(ActionRecord "/body/status" Status);
    check!(ActionRecord "/body/captured/0/content" Content);
    check!(ActionRecord "/body/captured/0/mode" Capture);
    check!(ActionRecord "/body/captured/0/reason" Unkept);
    check!(ApprovalRecord "/body/event" ApprovalEvent);
    check!(ApprovalRecord "/body/resolution" Resolution);
    check!(ApprovalRecord "/body/review/answer" Answer);
    check!(ApprovalRecord "/body/review/assurance" Assurance);
    check!(ApprovalRecord "/body/question/gates/0/assurance" Assurance);
    check!(ExceptionRecord "/body/event" ExceptionEvent);
    check!(ExceptionRecord "/body/kind" ExceptionKind);
    check!(VersionLog "/body/object/kind" VersionedKind);
    check!(LedgerState "/body/event" LedgerEvent);
}

/// Where the files live that were written by released code and must be read for ever.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/evidence/v1")
}

/// What the corpus holds: path and content.
fn corpus_files() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for ((name, draft), seq) in examples::drafts().into_iter().zip(1..) {
        files.insert(format!("{name}.json"), examples::written(&draft, seq));
    }
    let (mut tiles, mut lines, mut salts) = (TileBuilder::new(), Vec::new(), String::new());
    for (draft, seq) in examples::story().into_iter().zip(1_u8..) {
        let (bytes, salt) = (examples::written(&draft, seq.into()), [seq; 16]);
        let record = read(&bytes).unwrap();
        let leaf = Leaf {
            commitment: hex::encode(commitment(&salt, &bytes)),
            emitter: record.emitter,
            id: record.id,
            schema: record.schema,
            seq: record.seq,
            record_type: record.record_type,
        };
        tiles.push(&leaf.entry().unwrap()).unwrap();
        lines.extend([bytes.as_slice(), b"\n"].concat());
        salts.push_str(&format!("{}\n", hex::encode(salt)));
    }
    for Tile { tile, bytes } in tiles.unwritten().unwrap() {
        files.insert(format!("log/{tile}"), bytes);
    }
    let (origin, key): (KeyName, _) = (examples::ORIGIN.parse().unwrap(), SigningKey::from_bytes(&[0x17; 32]));
    let checkpoint = Checkpoint { origin: origin.clone(), size: tiles.size(), root: tiles.root() };
    files.insert("log/checkpoint".into(), checkpoint.sign(&key, &origin).into());
    files.insert("log/vkey".into(), format!("{}\n", VerifierKey::new(origin, key.verifying_key())).into());
    files.insert("log/records.jsonl".into(), lines);
    files.insert("log/salts".into(), salts.into());
    files
}

/// With `COUNTERSIGN_BLESS=1` it writes the corpus instead; right only before the schema's first release.
#[test]
fn the_code_still_writes_the_frozen_corpus() {
    for (path, ours) in corpus_files() {
        let path = corpus().join(path);
        if std::env::var_os("COUNTERSIGN_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &ours).unwrap();
        }
        let frozen = std::fs::read(&path).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&frozen), String::from_utf8_lossy(&ours), "{}", path.display());
    }
}

#[test]
fn every_frozen_record_reads_byte_for_byte() {
    let (validators, mut types) = (validators(), BTreeSet::new());
    for file in std::fs::read_dir(corpus()).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let record = read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(serde_json::to_vec(&record).unwrap(), bytes, "{}", file.display());
        assert!(
            validators[&record.record_type].is_valid(&serde_json::from_slice(&bytes).unwrap()),
            "{}",
            file.display()
        );
        types.insert(record.record_type);
    }
    assert_eq!(types.into_iter().collect::<Vec<_>>(), RecordType::ALL);
}

#[test]
fn the_frozen_log_verifies() {
    let file = |path: &str| std::fs::read(corpus().join("log").join(path)).ok();
    let text = |path: &str| String::from_utf8(file(path).unwrap()).unwrap();
    let (records, salts) = (text("records.jsonl"), text("salts"));
    let key = text("vkey").trim_end().parse().unwrap();
    let mut check = LedgerCheck::new(key, Some(Box::new(|tile| file(&tile.path()))));
    check.checkpoint(&file("checkpoint").unwrap()).unwrap();
    let mut start = 0;
    for (line, salt) in records.lines().zip(salts.lines()) {
        check.record(start, &hex::decode(salt).unwrap().try_into().unwrap(), line.as_bytes());
        start += line.len() as u64 + 1;
    }
    let report = check.finish();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.records, report.proved, report.checkpoints), (54, 54, 1));
    assert_eq!(report.open_intents, []);
}

#[test]
fn the_reference_names_every_field_and_shows_frozen_records() {
    for (record_type, schema) in schemas() {
        let (_, section) =
            DOCS.split_once(&format!("\n## `{record_type}`\n")).unwrap_or_else(|| panic!("{record_type}"));
        let section = section.split("\n## ").next().unwrap();
        for pointer in described(&schema, &schema, "") {
            let place = if pointer.starts_with("/body") { section } else { DOCS };
            for field in schema_at(&schema, &pointer)["properties"].as_object().unwrap().keys() {
                assert!(
                    place.contains(&format!("`{field}`")),
                    "{record_type}: {pointer}/{field} is not in the reference"
                );
            }
        }
        let (_, example) = section.split_once("```json\n").unwrap();
        let shown: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
        let frozen = corpus_files().into_values().filter_map(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        assert!(frozen.into_iter().any(|frozen| frozen == shown), "{record_type}: the example is not in the corpus");
    }
}

proptest! {
    #[test]
    fn every_record_that_the_code_writes_fits_its_schema(drafts in prop::collection::vec(arbitrary::draft(), 24)) {
        let validators = validators();
        for draft in drafts {
            let value: Value = serde_json::from_slice(&examples::written(&draft, 1)).unwrap();
            let errors: Vec<_> = validators[&draft.body.record_type()].iter_errors(&value).map(|error| error.to_string()).collect();
            prop_assert!(errors.is_empty(), "{errors:?}");
        }
    }
}
