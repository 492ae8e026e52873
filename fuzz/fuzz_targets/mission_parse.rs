//! A text is refused with problems that point into it, or it is a mission that compiles and differs in nothing from itself.
#![no_main]

use std::sync::Arc;

use governance::decide::compile;
use governance::mission::{MissionError, difference, parse};
use libfuzzer_sys::fuzz_target;

/// A policy costs a millisecond here, and the shortest rule six bytes: at most a third of a second for one input.
const COMPILED_BYTES_MAX: usize = 2_048;

fuzz_target!(|text: &str| {
    let mission = match parse(text) {
        Ok(mission) => mission,
        Err(error) => return check_problems(text, &error),
    };
    assert_eq!(parse(text).as_ref(), Ok(&mission));
    assert_eq!(&**mission.source(), text);
    assert!(!mission.agents().is_empty());
    assert!(!difference(None, &mission).is_empty());
    assert_eq!(difference(Some(&mission), &mission), Vec::<String>::new());
    if text.len() <= COMPILED_BYTES_MAX {
        let policy = compile(Arc::new(mission)).unwrap_or_else(|error| panic!("{error}"));
        assert!(!policy.cedar_all().is_empty());
    }
});

fn check_problems(text: &str, error: &MissionError) {
    assert!(!error.problems().is_empty());
    let lines = text.split('\n').count();
    for problem in error.problems() {
        assert!((1..=lines).contains(&problem.line) && problem.column >= 1, "{problem}");
        let line = text.split('\n').nth(problem.line - 1).unwrap_or_default();
        assert!(problem.column <= line.chars().count() + 1, "{problem}");
    }
    assert!(!error.render("mission.toml").is_empty());
}
