//! The checks that the conformance runner wrote, and what differs between two sides of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::count::Count;

/// The end of a result folder, `-2026-11-25T02-22-15-573Z`: all that is not the scenario.
const STAMP_CHARS: usize = 25;

/// One check of one scenario.
#[derive(Clone, Debug)]
pub(super) struct Check {
    scenario: String,
    written: Written,
}

/// As the runner writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    id: String,
    name: String,
    status: Status,
    #[serde(default)]
    error_message: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Success,
    Failure,
    Warning,
    Skipped,
    Info,
}

/// The checks below the runner's output folder: one folder a scenario, with a `checks.json`; where a name has a slash, a folder in a folder.
pub(super) fn read(out: &Path) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    collect(out, "", &mut checks)?;
    Ok(checks)
}

fn collect(out: &Path, before: &str, checks: &mut Vec<Check>) -> Result<()> {
    let folders = std::fs::read_dir(out).with_context(|| format!("read `{}`", out.display()))?;
    for folder in folders {
        let folder = folder?;
        let name = format!("{before}{}", folder.file_name().to_string_lossy());
        let path = folder.path().join("checks.json");
        if !path.is_file() && before.is_empty() {
            collect(&folder.path(), &format!("{name}/"), checks)?;
            continue;
        }
        let scenario = name.get(..name.len().saturating_sub(STAMP_CHARS)).unwrap_or_default().to_owned();
        let text = std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        let written: Vec<Written> =
            serde_json::from_str(&text).with_context(|| format!("read `{}`", path.display()))?;
        checks.extend(written.into_iter().map(|written| Check { scenario: scenario.clone(), written }));
    }
    Ok(())
}

/// What differs, and what failed on both sides; the count is of the governed side. Every check must be there as often, in the same order, with the same status.
pub(super) fn compare(direct: &[Check], governed: &[Check], passed_min: u64) -> (Count, Vec<String>) {
    let (direct, governed) = (by_check(direct), by_check(governed));
    let mut said = Vec::new();
    let mut passed = 0;
    for key in direct.keys().chain(governed.keys().filter(|key| !direct.contains_key(*key))) {
        let (left, right) =
            (direct.get(key).map_or(&[][..], Vec::as_slice), governed.get(key).map_or(&[][..], Vec::as_slice));
        let statuses = |side: &[&Check]| side.iter().map(|check| check.written.status).collect::<Vec<_>>();
        let why =
            |side: &[&Check]| side.iter().find_map(|check| check.written.error_message.clone()).unwrap_or_default();
        if statuses(left) != statuses(right) {
            said.push(format!("{key}: direct {:?}, governed {:?}: {}", statuses(left), statuses(right), why(right)));
        } else if statuses(left).contains(&Status::Failure) {
            said.push(format!("{key}: fails direct: {}", why(left)));
        } else {
            passed += right.iter().filter(|check| check.written.status == Status::Success).count() as u64;
        }
    }
    if passed < passed_min && said.is_empty() {
        said.push(format!("{passed} checks passed, want {passed_min}: the runner no longer asks what it asked"));
    }
    (Count { passed, failed: said.len() as u64 }, said)
}

fn by_check(checks: &[Check]) -> BTreeMap<Key<'_>, Vec<&Check>> {
    let mut by_check: BTreeMap<Key<'_>, Vec<&Check>> = BTreeMap::new();
    for check in checks {
        let key = Key { scenario: &check.scenario, id: &check.written.id, name: &check.written.name };
        by_check.entry(key).or_default().push(check);
    }
    by_check
}

/// What the two sides have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'c> {
    scenario: &'c str,
    id: &'c str,
    name: &'c str,
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} ({})", self.scenario, self.id, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(checks: &[(&str, &str)]) -> Vec<Check> {
        let check = |(id, status): &(&str, &str)| Check {
            scenario: "tools-list".to_owned(),
            written: serde_json::from_value(serde_json::json!({ "id": id, "name": "N", "status": status })).unwrap(),
        };
        checks.iter().map(check).collect()
    }

    fn check(direct: &[(&str, &str)], governed: &[(&str, &str)], passed: u64, said: &[&str]) {
        let (count, found) = compare(&side(direct), &side(governed), 1);
        assert_eq!(found, said);
        assert_eq!(count, Count { passed, failed: said.len() as u64 });
    }

    #[test]
    fn equal_sides_count_what_passed() {
        let both = [("a", "SUCCESS"), ("b", "WARNING"), ("a", "SUCCESS"), ("c", "SKIPPED")];
        check(&both, &both, 2, &[]);
    }

    #[test]
    fn another_status_is_a_difference() {
        check(
            &[("a", "SUCCESS"), ("b", "SUCCESS")],
            &[("a", "SUCCESS"), ("b", "FAILURE")],
            1,
            &["tools-list: b (N): direct [Success], governed [Failure]: "],
        );
    }

    #[test]
    fn a_check_that_one_side_lacks_is_a_difference() {
        check(
            &[("a", "SUCCESS"), ("b", "INFO")],
            &[("a", "SUCCESS")],
            1,
            &["tools-list: b (N): direct [Info], governed []: "],
        );
        check(
            &[("a", "SUCCESS")],
            &[("a", "SUCCESS"), ("a", "SUCCESS")],
            0,
            &["tools-list: a (N): direct [Success], governed [Success, Success]: "],
        );
    }

    #[test]
    fn what_fails_on_both_sides_is_not_equal_enough() {
        check(&[("a", "FAILURE")], &[("a", "FAILURE")], 0, &["tools-list: a (N): fails direct: "]);
    }

    #[test]
    fn a_run_with_too_few_checks_is_red() {
        check(
            &[("a", "INFO")],
            &[("a", "INFO")],
            0,
            &["0 checks passed, want 1: the runner no longer asks what it asked"],
        );
    }
}
