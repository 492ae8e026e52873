//! Any bytes give findings that are bounded, sorted and the same again; a stream that is cut anywhere gives those of the whole text, and nothing that is emitted is
//! taken back.
#![no_main]

use std::sync::LazyLock;

use governance::classify::detect::{Detector, Finding, Stream, THRESHOLD};
use libfuzzer_sys::fuzz_target;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::default);

fuzz_target!(|bytes: &[u8]| {
    // The first byte says where the stream is cut.
    let Some((cut, text)) = bytes.split_first() else { return };
    let scan = DETECTOR.scan(text);
    let findings = scan.findings();
    assert!(findings.is_sorted_by_key(|found| found.start));
    for found in findings {
        assert!(found.start < found.end && found.end <= text.len());
        assert!((THRESHOLD..=100).contains(&found.confidence));
    }
    assert_eq!(places(DETECTOR.scan(text).findings()), places(findings));
    assert_eq!(scan.is_clean(), findings.is_empty() && scan.is_complete());

    let mut streamed = Vec::new();
    let mut stream = Stream::new(&DETECTOR);
    for piece in text.chunks(usize::from(*cut).max(1)) {
        let before = stream.settled();
        let known = streamed.len();
        stream.push(piece, &mut streamed);
        assert!(stream.settled() >= before);
        assert!(streamed.iter().skip(known).all(|found| found.end > before || before == 0));
    }
    assert_eq!(stream.finish(&mut streamed), scan.is_complete());
    assert_eq!(places(&streamed), places(findings));
});

/// What a finding says, in full.
fn places(findings: &[Finding]) -> Vec<(usize, usize, &'static str, u8)> {
    findings.iter().map(|found| (found.start, found.end, found.kind.name, found.confidence)).collect()
}
