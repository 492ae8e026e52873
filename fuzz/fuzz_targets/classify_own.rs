//! A text is refused as a file of own classes, or compiles and differs in nothing from itself; any bytes are refused as an index, or are searched within bounds; what is
//! found by own classes in any text is the same at every cut.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use governance::classify::detect::{Detector, Finding, Stream};
use governance::classify::own::{Index, IndexBuilder, IndexKey, OwnClasses, parse_classes};
use libfuzzer_sys::fuzz_target;

const FILE: &str = r"
why = 'w'
[class.number]
why     = 'w'
pattern = 'E-\d{2,6}'
near    = ['staff', 'no']
[class.project]
why      = 'w'
keywords = ['Project Falcon', 'aa', '機密']
[class.customer]
why    = 'w'
values = 'a.edm'
[class.person]
why    = 'w'
values = 'a.edm'
match  = 2
";

fn key() -> IndexKey {
    IndexKey::new([7; 32])
}

static INDEX: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut builder = IndexBuilder::new(key(), vec!["id".into(), "name".into()]).unwrap();
    builder.row(["DE89370400440532013000", "Jane Doe"]).unwrap();
    builder.row(["aaaaaa", "111"]).unwrap();
    builder.finish().0
});

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| {
    let index = Arc::new(Index::read(INDEX.clone(), key()).unwrap());
    let own = OwnClasses::compile(&parse_classes(FILE).unwrap(), &BTreeMap::from([("a.edm".into(), index)])).unwrap();
    Detector::default().with_own(Arc::new(own))
});

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    match first % 3 {
        0 => {
            let Ok(text) = str::from_utf8(rest) else { return };
            let Ok(file) = parse_classes(text) else { return };
            assert!(file.difference(Some(&file)).is_empty());
            assert_eq!(file.difference(None).len(), file.classes().count());
            if file.indexes().is_empty() {
                let own = OwnClasses::compile(&file, &BTreeMap::new()).unwrap();
                let _found = Detector::default().with_own(Arc::new(own)).scan(rest);
            }
        }
        1 => {
            // The beginning of a whole one, so that what follows is looked at.
            let known = usize::from(*first) * INDEX.len() / 256;
            let bytes = INDEX.iter().take(known).chain(rest).copied().collect();
            if let Ok(index) = Index::read(bytes, key()) {
                assert!(!index.columns().is_empty());
                let file = parse_classes("why = 'w'\n[class.a]\nwhy = 'w'\nvalues = 'a.edm'\n").unwrap();
                let own = OwnClasses::compile(&file, &BTreeMap::from([("a.edm".into(), Arc::new(index))])).unwrap();
                let _found = Detector::default().with_own(Arc::new(own)).scan(b"DE89370400440532013000, Jane Doe");
            }
        }
        _ => {
            let scan = DETECTOR.scan(rest);
            assert!(scan.findings().is_sorted_by_key(|found| found.start));
            let mut streamed = Vec::new();
            let mut stream = Stream::new(&DETECTOR);
            rest.chunks(usize::from(*first).max(1)).for_each(|piece| stream.push(piece, &mut streamed));
            assert_eq!(stream.finish(&mut streamed), scan.is_complete());
            assert_eq!(places(&streamed), places(scan.findings()));
        }
    }
});

/// What a finding says, in full.
fn places(findings: &[Finding]) -> Vec<(usize, usize, &'static str, u8)> {
    findings.iter().map(|found| (found.start, found.end, found.kind.name, found.confidence)).collect()
}
