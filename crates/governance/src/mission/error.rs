//! Everything that is wrong with a mission file, each with its place and how to mend it.

use std::fmt::{self, Write as _};

/// The most problems that are told; a file with more is not read to its end by anyone.
const SHOWN: usize = 50;

/// One thing that is wrong with a mission file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The column where it starts, in characters from 1.
    pub column: usize,
    /// The line where it starts, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
    /// How to mend it, as a half sentence.
    pub suggestion: Option<String>,
}

/// Why a text is not a mission: every problem, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissionError {
    problems: Vec<Problem>,
}

impl MissionError {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.dedup();
        Self { problems }
    }

    /// The problems, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// One line for each problem, as compilers write them: `file:line:column: reason; suggestion`.
    #[must_use]
    pub fn render(&self, file: &str) -> String {
        let mut text = String::new();
        for problem in self.problems.iter().take(SHOWN) {
            let _ = writeln!(text, "{file}:{problem}");
        }
        if let Some(more) = self.problems.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(text, "{file}: and {more} more problems");
        }
        text
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.reason)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for MissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render("mission").trim_end())
    }
}

impl std::error::Error for MissionError {}

/// The name in `known` that `name` was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer names are no slips of the finger, and the distance costs their product.
    const LENGTH_MAX: usize = 64;
    let name: Vec<char> = name.to_lowercase().chars().take(LENGTH_MAX).collect();
    let bound = (name.len() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(&name, &candidate.chars().take(LENGTH_MAX).collect::<Vec<_>>()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance with swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut two_back: Vec<usize> = Vec::new();
    let mut back: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&back, j + 1) + 1).min(at(&row, j) + 1).min(at(&back, j) + usize::from(from != to));
            if i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from) {
                cost = cost.min(at(&two_back, j - 1) + 1);
            }
            row.push(cost);
        }
        two_back = std::mem::replace(&mut back, row);
    }
    back.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_find_their_word() {
        let known = ["agents", "allow", "danger", "goal", "mission", "owner", "until", "why"];
        for (slip, word) in [
            ("agent", Some("agents")),
            ("misison", Some("mission")),
            ("Goal", Some("goal")),
            ("goals", Some("goal")),
            ("ownr", Some("owner")),
            ("hwy", Some("why")),
            ("budget", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip, known), word, "{slip}");
        }
    }
}
