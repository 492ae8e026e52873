//! A filter reads back as it was written and picks the same records; a refusal points into the text.
#![no_main]

use std::sync::LazyLock;

use evidence::filter::Filter;
use evidence::limits::FILTER_BYTES_MAX;
use evidence::record::{Record, read};
use libfuzzer_sys::fuzz_target;

static RECORDS: LazyLock<Vec<Record>> = LazyLock::new(|| {
    let lines = include_str!("../../corpus/evidence/v1/log/records.jsonl").lines();
    lines.map(|line| read(line.as_bytes()).expect("a frozen record")).collect()
});

fuzz_target!(|text: &str| match text.parse::<Filter>() {
    Ok(filter) => check(&filter),
    Err(error) => {
        assert!(text.get(error.at..).is_some(), "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
});

fn check(filter: &Filter) {
    for record in &*RECORDS {
        assert_ne!(filter.matches(record), Filter::Not(Box::new(filter.clone())).matches(record));
    }
    let written = filter.to_string();
    // Wildcards and dates are written out, so that the text can outgrow what is read.
    if written.len() <= FILTER_BYTES_MAX {
        assert_eq!(written.parse().as_ref(), Ok(filter), "{written}");
    }
}
