//! How many checks passed and failed, read from what the runners printed.

use std::fmt;
use std::ops::AddAssign;

/// Numbers of checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Checks that held.
    pub(crate) passed: u64,
    /// Checks that did not.
    pub(crate) failed: u64,
}

impl Count {
    /// From `test result: ok. 34 passed; 0 failed; ...`, the closing line of each test binary, in `lines`.
    pub(crate) fn of_cargo_test<'l>(lines: impl Iterator<Item = &'l str>) -> Count {
        sum(lines.filter_map(|line| {
            let numbers = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
            Some(Count { passed: before(numbers, " passed")?, failed: before(numbers, " failed")? })
        }))
    }

    /// From the `ok` and `not ok` lines of TAP.
    pub(crate) fn of_tap<'l>(lines: impl Iterator<Item = &'l str>) -> Count {
        sum(lines.map(|line| Count {
            passed: u64::from(line.starts_with("ok ")),
            failed: u64::from(line.starts_with("not ok ")),
        }))
    }

    /// From `N passed, N failed`, alone on a line, as our own tools close.
    pub(crate) fn of_own<'l>(lines: impl Iterator<Item = &'l str>) -> Count {
        sum(lines.filter_map(|line| {
            let (passed, failed) = line.trim().split_once(" passed, ")?;
            Some(Count { passed: passed.parse().ok()?, failed: failed.strip_suffix(" failed")?.parse().ok()? })
        }))
    }
}

/// The number before `word` in `34 passed; 0 failed; 1 ignored`.
fn before(text: &str, word: &str) -> Option<u64> {
    text.split(';').find_map(|part| part.trim().strip_suffix(word.trim())?.trim().parse().ok())
}

fn sum(counts: impl Iterator<Item = Count>) -> Count {
    counts.fold(Count::default(), |mut total, count| {
        total += count;
        total
    })
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_test_is_summed_over_its_binaries() {
        let output = "running 2 tests\ntest result: ok. 34 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s\n\
                      test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Count::of_cargo_test(output.lines()), Count { passed: 41, failed: 2 });
    }

    #[test]
    fn tap_counts_lines() {
        assert_eq!(
            Count::of_tap("ok 1 - a\nnot ok 2 - b\n#   okay\nok 3 - c\n1..3".lines()),
            Count { passed: 2, failed: 1 }
        );
    }

    #[test]
    fn our_own_closing_line_is_alone_on_a_line() {
        let output = "200 kills\n1234 passed, 5 failed\nand 3 passed, 1 failed of those\n";
        assert_eq!(Count::of_own(output.lines()), Count { passed: 1234, failed: 5 });
        assert_eq!(Count { passed: 1, failed: 0 }.to_string(), "1 passed, 0 failed");
    }
}
