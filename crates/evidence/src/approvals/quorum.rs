//! Whether persons fill the quorums of a stage, each person counting once.

use std::sync::Arc;

use crate::record::approval::{Quorum, Stage};

/// The groups that `stage` asks.
pub(super) fn groups(stage: &Stage) -> impl Iterator<Item = &Arc<str>> {
    stage.any_of.iter().flat_map(|alternative| &alternative.all_of).map(|quorum| &quorum.group)
}

/// Whether `stage` asks one of `groups`.
pub(super) fn names(stage: &Stage, groups: &[Arc<str>]) -> bool {
    self::groups(stage).any(|group| groups.contains(group))
}

/// Whether persons of these groups, one entry for each of them, fill one of the stage's alternatives.
pub(super) fn is_met(stage: &Stage, persons: &[Vec<Arc<str>>]) -> bool {
    let persons: Vec<&[Arc<str>]> = persons.iter().map(Vec::as_slice).collect();
    stage.any_of.iter().any(|alternative| fills(&alternative.all_of, &persons))
}

/// Whether every quorum gets as many persons as it needs, none of them twice: a matching of persons with quorums, made larger by one place at a time.
fn fills(quorums: &[Quorum], persons: &[&[Arc<str>]]) -> bool {
    let mut placed: Vec<Option<usize>> = vec![None; persons.len()];
    quorums.iter().enumerate().all(|(at, quorum)| {
        (0..quorum.need).all(|_| {
            let mut tried = vec![false; persons.len()];
            place(at, quorums, persons, &mut placed, &mut tried)
        })
    })
}

/// Finds one more person for the quorum at `at`, moving others to quorums that they fill as well.
fn place(
    at: usize,
    quorums: &[Quorum],
    persons: &[&[Arc<str>]],
    placed: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    let Some(group) = quorums.get(at).map(|quorum| &quorum.group) else { return false };
    for (person, groups) in persons.iter().enumerate() {
        let is_new = tried.get(person) == Some(&false);
        if !is_new || !groups.contains(group) {
            continue;
        }
        if let Some(tried) = tried.get_mut(person) {
            *tried = true;
        }
        let taken = placed.get(person).copied().flatten();
        if taken.is_none_or(|other| other != at && place(other, quorums, persons, placed, tried)) {
            if let Some(place) = placed.get_mut(person) {
                *place = Some(at);
            }
            return true;
        }
    }
    false
}
