//! A text is refused with problems that point into it, or it is a standing grant of one tool whose conditions compile; and arguments are never what was proposed where nothing of it is in them.
#![no_main]

use governance::approve::{Edit, Granted};
use governance::mission::parse_standing;
use libfuzzer_sys::fuzz_target;

/// A policy costs a millisecond here: at most a third of a second for one input.
const COMPILED_BYTES_MAX: usize = 2_048;

fuzz_target!(|text: &str| {
    match parse_standing(text) {
        Ok(standing) => {
            assert!(!standing.gates().is_empty() && !standing.rules().agents().is_empty());
            let terms = standing.terms();
            assert!(terms.uses > 0 && !standing.to_string().is_empty());
            if text.len() <= COMPILED_BYTES_MAX {
                Granted::read(text, "grant.toml", "ana").unwrap_or_else(|error| panic!("{error}"));
            }
        }
        Err(error) => {
            let lines = text.split('\n').count();
            assert!(!error.problems().is_empty());
            assert!(error.problems().iter().all(|problem| (1..=lines).contains(&problem.line)));
        }
    }
    for original in ["{}", r#"{"amount":1}"#] {
        if let Ok(edit) = Edit::new(original, text) {
            assert!(edit.is_in(text.as_bytes()), "what is proposed is what is proposed");
            assert!(!edit.is_in(original.as_bytes()), "and not what was asked");
        }
    }
});
