//! What a document says of itself: privilege, export control, sensitivity; and the formats of health records.
//!
//! A marking is a line of its own or a fixed phrase, so that a text about markings is not taken for a marked one.

use super::super::judge::{Class, Judged, Kind};

/// Rare texts, in any case, at which a line is looked at.
pub(crate) const TRIGGERS: &[&str] = &[
    "privileged",
    "attorney-client",
    "attorney client",
    "work product",
    "under seal",
    "non-disclosure",
    "nondisclosure",
    "settlement communication",
    "rule 408",
    "itar",
    "export administration regulations",
    "eccn",
    "22 cfr",
    "15 cfr",
    "distribution statement",
    "noforn",
    "cui//",
    "controlled unclassified",
    "tlp:",
    "msip_label_",
    "top secret//",
    "secret//",
    "confidential//",
    "classification:",
    "msh|^~\\&",
    "\"resourcetype\"",
    "isa*00*",
    "clinicaldocument",
    "urn:hl7-org",
];

const PRIVILEGE: Kind = Kind { class: Class::Legal, name: "privilege" };
const SEALED: Kind = Kind { class: Class::Legal, name: "under_seal" };
const AGREEMENT: Kind = Kind { class: Class::Legal, name: "nda" };
const SETTLEMENT: Kind = Kind { class: Class::Legal, name: "settlement" };
const ITAR: Kind = Kind { class: Class::Export, name: "itar_legend" };
const EAR: Kind = Kind { class: Class::Export, name: "ear_legend" };
const STATEMENT: Kind = Kind { class: Class::Export, name: "distribution_statement" };
const CUI: Kind = Kind { class: Class::Export, name: "cui_banner" };
const NOFORN: Kind = Kind { class: Class::Export, name: "noforn" };
const TLP: Kind = Kind { class: Class::Labelled, name: "tlp" };
const MIP: Kind = Kind { class: Class::Labelled, name: "mip_label" };
const HEADER: Kind = Kind { class: Class::Labelled, name: "classification_header" };
const HL7: Kind = Kind { class: Class::Health, name: "hl7v2" };
const FHIR: Kind = Kind { class: Class::Health, name: "fhir" };
const X12: Kind = Kind { class: Class::Health, name: "x12" };
const CDA: Kind = Kind { class: Class::Health, name: "cda" };

/// A phrase and what a text that has it is.
struct Phrase {
    kind: &'static Kind,
    /// Words without which the phrase is only talk.
    with: &'static [&'static str],
    phrase: &'static str,
    score: u8,
}

const PHRASES: &[Phrase] = &[
    Phrase { phrase: "privileged and confidential", with: &[], kind: &PRIVILEGE, score: 82 },
    Phrase { phrase: "privileged & confidential", with: &[], kind: &PRIVILEGE, score: 82 },
    Phrase { phrase: "attorney-client privileged", with: &[], kind: &PRIVILEGE, score: 85 },
    Phrase { phrase: "attorney-client communication", with: &[], kind: &PRIVILEGE, score: 80 },
    Phrase { phrase: "attorney work product", with: &[], kind: &PRIVILEGE, score: 82 },
    Phrase {
        phrase: "attorney-client privilege",
        with: &["this", "protected", "subject to"],
        kind: &PRIVILEGE,
        score: 66,
    },
    Phrase { phrase: "filed under seal", with: &[], kind: &SEALED, score: 82 },
    Phrase {
        phrase: "settlement communication",
        with: &["408", "confidential", "inadmissible"],
        kind: &SETTLEMENT,
        score: 78,
    },
    Phrase {
        phrase: "non-disclosure agreement",
        with: &["disclosing party", "receiving party", "this agreement", "entered into", "by and between"],
        kind: &AGREEMENT,
        score: 72,
    },
    Phrase {
        phrase: "nondisclosure agreement",
        with: &["disclosing party", "receiving party", "this agreement", "entered into", "by and between"],
        kind: &AGREEMENT,
        score: 72,
    },
    Phrase {
        phrase: "itar",
        with: &["controlled", "technical data", "22 cfr", "120-130", "restricted"],
        kind: &ITAR,
        score: 76,
    },
    Phrase { phrase: "22 cfr", with: &["export", "itar", "controlled", "technical data"], kind: &ITAR, score: 70 },
    Phrase {
        phrase: "export administration regulations",
        with: &["controlled", "subject to", "eccn", "15 cfr"],
        kind: &EAR,
        score: 76,
    },
    Phrase {
        phrase: "eccn",
        with: &[
            "eccn:",
            "eccn 0",
            "eccn 1",
            "eccn 2",
            "eccn 3",
            "eccn 4",
            "eccn 5",
            "eccn 6",
            "eccn 7",
            "eccn 8",
            "eccn 9",
            "eccn ear99",
        ],
        kind: &EAR,
        score: 76,
    },
    Phrase {
        phrase: "distribution statement",
        with: &["statement b", "statement c", "statement d", "statement e", "statement f"],
        kind: &STATEMENT,
        score: 82,
    },
    Phrase { phrase: "cui//", with: &[], kind: &CUI, score: 85 },
    Phrase {
        phrase: "controlled unclassified information",
        with: &["controlled by", "cui category", "this document", "banner", "cui"],
        kind: &CUI,
        score: 62,
    },
    Phrase { phrase: "//noforn", with: &[], kind: &NOFORN, score: 88 },
    Phrase { phrase: "top secret//", with: &[], kind: &HEADER, score: 88 },
    Phrase {
        phrase: "secret//",
        with: &["//noforn", "//rel", "//si", "//tk", "//orcon", "//fgi"],
        kind: &HEADER,
        score: 86,
    },
    Phrase { phrase: "confidential//", with: &["//noforn", "//rel", "//orcon"], kind: &HEADER, score: 84 },
    Phrase { phrase: "classification: secret", with: &[], kind: &HEADER, score: 78 },
    Phrase { phrase: "classification: top secret", with: &[], kind: &HEADER, score: 82 },
    Phrase { phrase: "classification: confidential", with: &[], kind: &HEADER, score: 74 },
    Phrase { phrase: "classification: restricted", with: &[], kind: &HEADER, score: 72 },
    Phrase {
        phrase: "msip_label_",
        with: &["_enabled", "_name", "_siteid", "_method", "_contentbits"],
        kind: &MIP,
        score: 92,
    },
    Phrase { phrase: "msh|^~\\&", with: &[], kind: &HL7, score: 96 },
    Phrase { phrase: "isa*00*", with: &[], kind: &X12, score: 92 },
    Phrase { phrase: "<clinicaldocument", with: &[], kind: &CDA, score: 95 },
];

/// Resources of FHIR that are about somebody.
const RESOURCES: &[&str] = &[
    "patient",
    "observation",
    "condition",
    "encounter",
    "medicationrequest",
    "immunization",
    "procedure",
    "diagnosticreport",
    "allergyintolerance",
    "careplan",
    "claim",
    "coverage",
    "bundle",
];

/// What `text`, up to a kibibyte around a trigger, is marked with.
pub(crate) fn marking(text: &str) -> Option<Judged> {
    let lower = text.to_ascii_lowercase();
    let phrases = PHRASES.iter().filter_map(|phrase| {
        let start = lower.find(phrase.phrase)?;
        let is_word = phrase.phrase.starts_with(|letter: char| !letter.is_ascii_alphanumeric())
            || !lower.get(..start)?.ends_with(|letter: char| letter.is_ascii_alphanumeric());
        let ends_word = phrase.phrase.ends_with(|letter: char| !letter.is_ascii_alphanumeric())
            || !lower.get(start + phrase.phrase.len()..)?.starts_with(|letter: char| letter.is_ascii_alphanumeric());
        let is_backed = phrase.with.is_empty() || phrase.with.iter().any(|word| lower.contains(word));
        let end = start + phrase.phrase.len();
        (is_word && ends_word && is_backed).then_some(Judged { end, kind: phrase.kind, score: phrase.score, start })
    });
    phrases.chain(traffic_light(&lower)).chain(fhir(&lower)).max_by_key(|judged| judged.score)
}

/// `TLP:RED`, in capitals or as the only thing on its line.
fn traffic_light(lower: &str) -> Option<Judged> {
    let start = lower.find("tlp:")?;
    let rest = lower.get(start + 4..)?;
    let colour =
        ["amber+strict", "amber", "green", "red"].into_iter().find(|colour| rest.trim_start().starts_with(colour))?;
    let gap = rest.len() - rest.trim_start().len();
    (gap <= 1).then_some(Judged { end: start + 4 + gap + colour.len(), kind: &TLP, score: 78, start })
}

fn fhir(lower: &str) -> Option<Judged> {
    let start = lower.find("\"resourcetype\"")?;
    let rest = lower.get(start + 14..)?.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (resource, after) = rest.split_once('"')?;
    let end = lower.len() - after.len();
    RESOURCES.contains(&resource).then_some(Judged { end, kind: &FHIR, score: 90, start })
}
