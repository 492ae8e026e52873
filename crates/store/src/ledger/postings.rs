//! What filters find records by: for each record the values of its fields, each value once in a batch. Pure.
//!
//! Says of a record's bytes what [`Field::values`] says of the record itself; a property holds the two together.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use evidence::filter::Field;
use evidence::ids::CallId;
use evidence::record::RecordType;
use evidence::time::Timestamp;

use super::log::Spot;
use super::rows::{Text, Wire, WireBody};
use crate::limits::INDEX_WORD_BYTES_MAX;

/// Stands for every word that is too long for the index.
pub(crate) const LONG_WORD: &str = "";

/// What each record of a batch is found by.
#[derive(Clone, Debug, Default)]
pub struct Postings {
    /// Values in the order in which they are first met.
    pub values: Vec<(Field, Box<str>)>,
    /// The records, in order.
    pub records: Vec<Posted>,
    /// For each record what it has, as places in `values`.
    of_records: Vec<u32>,
    /// Where each value is, by its field and its hash; of several with one hash, the later ones at the next that is free.
    known: HashMap<(Field, u64), u32>,
    hasher: RandomState,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Where it is.
    pub spot: Spot,
    /// When it was taken.
    pub recorded_at: Timestamp,
    /// Its call.
    pub call: Option<CallId>,
    /// Its run, as a place in `values`.
    pub run: Option<u32>,
    /// Where its part of `of_records` ends.
    end: usize,
}

impl Postings {
    /// Every record with what it has, as places in `values`; a place may come twice.
    pub fn each(&self) -> impl Iterator<Item = (&Posted, &[u32])> {
        let mut start = 0;
        self.records.iter().map(move |posted| {
            let has = self.of_records.get(start..posted.end).unwrap_or_default();
            start = posted.end;
            (posted, has)
        })
    }

    pub(super) fn add(&mut self, spot: Spot, wire: &Wire<'_>) {
        let run = wire.correlation.run.as_ref().map(|run| self.place(Field::Run, &run.0));
        self.of_records.extend(run);
        each_value(wire, |field, value| {
            let place = self.place(field, value);
            self.of_records.push(place);
        });
        let (recorded_at, call, end) = (wire.recorded_at, wire.correlation.call, self.of_records.len());
        self.records.push(Posted { spot, recorded_at, call, run, end });
    }

    fn place(&mut self, field: Field, value: &str) -> u32 {
        let mut hash = self.hasher.hash_one(value);
        while let Some(place) = self.known.get(&(field, hash)) {
            if self.values.get(*place as usize).is_some_and(|(_, known)| **known == *value) {
                return *place;
            }
            hash = hash.wrapping_add(1);
        }
        // A batch has fewer values than bytes.
        let place = self.values.len() as u32;
        self.known.insert((field, hash), place);
        self.values.push((field, value.into()));
        place
    }
}

/// Gives every value that a record is found by, but for its run, its call, its number and its time, which the index has in other ways.
fn each_value(wire: &Wire<'_>, mut each: impl FnMut(Field, &str)) {
    let mut one = |field, text: &Option<Text<'_>>| text.iter().for_each(|text| each(field, &text.0));
    let body = &wire.body;
    one(Field::Mission, &wire.correlation.mission);
    match wire.record_type {
        RecordType::ActionRecord => {
            one(Field::Status, &body.status);
            one(Field::EffectClass, &body.effect_class);
            one(Field::Reason, &body.reason);
            one(Field::Event, &body.event);
        }
        RecordType::ApprovalRecord => {
            one(Field::Approval, &body.approval);
            one(Field::Event, &body.event);
            one(Field::Resolution, &body.resolution);
            one(Field::Gate, &body.gate);
            one(Field::Person, &body.who);
            if let Some(review) = &body.review {
                one(Field::Approver, &review.reviewer);
                one(Field::Person, &review.reviewer);
                one(Field::Person, &review.on_behalf_of);
                one(Field::Answer, &review.answer);
            }
            let asked = body.question.iter().flat_map(|question| question.gates.iter().flatten());
            asked.for_each(|gate| one(Field::Gate, &gate.name));
        }
        RecordType::DecisionRecord => {
            one(Field::Decision, &body.effect);
            one(Field::Would, &body.would);
            one(Field::Approval, &body.approval);
            if let Some(policy) = &body.policy {
                one(Field::Version, &policy.mission_sha256);
                one(Field::Version, &policy.organisation_sha256);
            }
            let targets = body.input.iter().flat_map(|input| input.provenance.iter().flatten());
            targets.for_each(|target| one(Field::Origin, &target.origin));
            let facets = body.input.iter().flat_map(|input| input.facets.iter().flatten());
            let named = facets.filter(|facet| facet.argument.as_ref().is_some_and(|name| !name.0.is_empty()));
            named.for_each(|facet| one(Field::Argument, &facet.argument));
        }
        RecordType::EvidenceAccess => one(Field::Person, &body.who),
        RecordType::ExceptionRecord => {
            one(Field::Kind, &body.kind);
            one(Field::Event, &body.event);
            one(Field::Exception, &body.exception);
            one(Field::Person, &body.owner);
            one(Field::Person, &body.who);
            if let Some(glass) = &body.broken_glass {
                one(Field::Approval, &glass.approval);
            }
        }
        RecordType::LedgerState => one(Field::Event, &body.event),
        RecordType::RequestContext => {}
        RecordType::VersionLog => {
            one(Field::Approval, &body.approval);
            one(Field::Direction, &body.direction);
            one(Field::Person, &body.who);
            one(Field::Version, &body.to);
            one(Field::Version, &body.from);
        }
    }
    each(Field::Type, wire.record_type.as_str());
    each(Field::Agent, &wire.agent.name);
    each(Field::Initiator, &wire.initiator.name);
    each(Field::Person, &wire.initiator.name);
    match &wire.correlation.context {
        _ if wire.record_type == RecordType::RequestContext => each(Field::Session, &wire.id.to_string()),
        Some(context) => each(Field::Session, &context.0),
        None => {}
    }
    lists(wire, &mut each);
    sentences(wire.record_type, body, |sentence| words(sentence, |word| each(Field::Text, word)));
}

/// What a record has more than one of, or what is put together.
fn lists(wire: &Wire<'_>, each: &mut impl FnMut(Field, &str)) {
    let body = &wire.body;
    for label in wire.data_classes.iter().flatten() {
        each(Field::Class, &label.0);
        if let Some((class, _)) = label.0.split_once('.') {
            each(Field::Class, class);
        }
    }
    match wire.record_type {
        RecordType::ActionRecord | RecordType::ApprovalRecord => {
            body.tool.iter().for_each(|tool| each(Field::Tool, &tool.text()));
            let broken = body.grant.iter().flat_map(|grant| grant.break_glass.iter().flatten());
            broken.for_each(|gate| each(Field::Gate, &gate.0));
        }
        RecordType::DecisionRecord => {
            let tool = body.input.iter().flat_map(|input| &input.tool);
            tool.for_each(|tool| each(Field::Tool, &tool.text()));
            body.reasons.iter().flatten().for_each(|reason| each(Field::Reason, &reason.0));
            body.gates.iter().flatten().for_each(|gate| each(Field::Gate, &gate.0));
        }
        RecordType::RequestContext => {
            body.delegation.iter().flatten().for_each(|person| each(Field::Person, &person.0));
        }
        RecordType::VersionLog => {
            body.object.iter().for_each(|object| each(Field::Object, &format!("{}:{}", object.kind, object.name)));
        }
        RecordType::EvidenceAccess | RecordType::ExceptionRecord | RecordType::LedgerState => {}
    }
}

fn sentences(record_type: RecordType, body: &WireBody<'_>, mut each: impl FnMut(&str)) {
    let mut one = |text: &Option<Text<'_>>| text.iter().for_each(|text| each(&text.0));
    match record_type {
        RecordType::ActionRecord => body.reported.iter().for_each(|reported| one(&reported.note)),
        RecordType::ApprovalRecord => {
            body.question.iter().for_each(|question| one(&question.sentence));
            body.review.iter().for_each(|review| one(&review.reason));
            one(&body.why);
        }
        RecordType::DecisionRecord => one(&body.sentence),
        RecordType::EvidenceAccess => one(&body.why),
        RecordType::ExceptionRecord => [&body.reason, &body.mitigation, &body.note].into_iter().for_each(one),
        RecordType::LedgerState => one(&body.detail),
        RecordType::RequestContext => body.purpose.iter().for_each(|purpose| one(&purpose.text)),
        RecordType::VersionLog => {
            one(&body.why);
            body.difference.iter().flatten().for_each(|difference| each(&difference.0));
        }
    }
}

/// The words of a sentence in lower case: whatever letters and digits stand together.
pub(crate) fn words(sentence: &str, mut each: impl FnMut(&str)) {
    let is_lower = sentence.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    let lower = if is_lower { Cow::from(sentence) } else { Cow::from(sentence.to_lowercase()) };
    for word in lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        each(if word.len() > INDEX_WORD_BYTES_MAX { LONG_WORD } else { word });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::rows::{Batch, Glance};
    use evidence::record;

    #[test]
    fn postings_say_what_fields_say() {
        let mut met = std::collections::BTreeSet::new();
        for bytes in samples() {
            let record = record::read(&bytes).unwrap();
            let mut batch = Batch::default();
            batch.add(Spot { seq: record.seq, offset: 0 }, Glance::read(&bytes).unwrap()).unwrap();
            let (_, has) = batch.postings.each().next().unwrap();
            for field in Field::ALL {
                let mut theirs: Vec<String> = has
                    .iter()
                    .map(|place| &batch.postings.values[*place as usize])
                    .filter(|(of, _)| of == field)
                    .map(|(_, value)| value.to_string())
                    .collect();
                let mut ours: Vec<String> = match field {
                    Field::Call | Field::After | Field::Before | Field::On | Field::Seq => vec![],
                    Field::Text => {
                        let mut found = Vec::new();
                        for sentence in field.values(&record) {
                            words(&sentence, |word| found.push(word.to_owned()));
                        }
                        found
                    }
                    field => field.values(&record).iter().map(ToString::to_string).collect(),
                };
                for values in [&mut theirs, &mut ours] {
                    values.sort();
                    values.dedup();
                }
                assert_eq!(theirs, ours, "{field:?} of {}", record.record_type);
                if !ours.is_empty() {
                    met.insert(field.name());
                }
            }
        }
        assert_eq!(met.len(), Field::ALL.len() - 5, "{met:?}");
    }

    /// Every example of a record.
    fn samples() -> Vec<Vec<u8>> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/evidence/v1");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        json.map(|path| serde_json::from_slice::<record::Record>(&std::fs::read(path).unwrap()).unwrap())
            .map(|record| serde_json::to_vec(&record).unwrap())
            .collect()
    }
}
