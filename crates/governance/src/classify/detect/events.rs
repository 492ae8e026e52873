//! Which places of a block the pass takes to a candidate, told from the masks of the block and of those around it.

use super::masks::{BLOCK, Masks, may_have_row, rows};

/// The places of a block that may be something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// Where two dashes or more start.
    pub(super) dashes: u64,
    /// Where digits start.
    pub(super) digits: u64,
    /// Signs behind a `"`.
    pub(super) members: u64,
    /// All of them, but where digits start.
    pub(super) others: u64,
    /// What is neither digits nor a sign.
    pub(super) rare: u64,
    /// Where sixteen or more bytes of words start.
    pub(super) runs: u64,
    /// Where eight bytes of words or more start with a sign between each two.
    pub(super) spread: u64,
}

/// Puts the places of the blocks of which `masks` are, but the first and the last, up to the `length`th byte into `events`.
#[inline(always)]
pub(super) fn of(masks: &[Masks], length: usize, events: &mut Vec<Events>) {
    let mut in_run = false;
    events.resize(masks.len().saturating_sub(2), Events::default());
    for (near, events) in masks.array_windows().zip(events.iter_mut()) {
        let [previous, current, next] = near;
        let all_runs = match may_have_row(current.word, next.word) {
            true => low(rows(ahead(current.word, next.word), 16)),
            false => 0,
        };
        let runs = all_runs & !(all_runs << 1 | u64::from(in_run));
        in_run = all_runs >> (BLOCK - 1) == 1;
        let alone = current.word
            & !(current.word << 1 | previous.word >> (BLOCK - 1))
            & !(current.word >> 1 | next.word << (BLOCK - 1));
        let spread = if alone & alone >> 2 == 0 && alone >> (BLOCK - 2) == 0 {
            0
        } else {
            // One character between two signs, eight times.
            let word = ahead(current.word, next.word);
            let alone = word & !(word << 1 | u128::from(previous.word >> (BLOCK - 1))) & !(word >> 1);
            let spread = alone & alone >> 2;
            let spread = spread & spread >> 4;
            low(spread & spread >> 8)
        };
        let dashes = current.dash & (current.dash >> 1 | next.dash << (BLOCK - 1));
        let dashes = dashes & !(current.dash << 1 | previous.dash >> (BLOCK - 1));
        *events = Events {
            dashes,
            digits: current.digit & !(current.digit << 1 | previous.digit >> (BLOCK - 1)),
            members: current.sign & (current.quote << 1 | previous.quote >> (BLOCK - 1)),
            others: current.sign | dashes | runs | spread,
            rare: dashes | runs | spread,
            runs,
            spread,
        };
    }
    if let (Some(last), 1..BLOCK) = (events.last_mut(), length % BLOCK) {
        let within = (1 << (length % BLOCK)) - 1;
        last.digits &= within;
        last.others &= within;
    }
}

const fn ahead(current: u64, next: u64) -> u128 {
    current as u128 | (next as u128) << BLOCK
}

fn low(mask: u128) -> u64 {
    u64::try_from(mask & u128::from(u64::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_blocks_up_to_the_end() {
        let text = format!("{:60}--ab{:50}a-b-c-d-e-f-g-h-i{{\"name\": 12, \"x\":3}} {} 45", "", "", "r".repeat(20));
        let masks = Masks::around(text.as_bytes(), 0, text.len(), Vec::new());
        let mut events = Vec::new();
        of(&masks, text.len(), &mut events);
        let places = |of: fn(&Events) -> u64| {
            let blocks = events.iter().enumerate();
            let places = blocks.flat_map(|(block, events)| {
                (0..BLOCK).filter(move |bit| of(events) >> bit & 1 == 1).map(move |bit| block * BLOCK + bit)
            });
            places.collect::<Vec<_>>()
        };
        let at = |part: &str| text.find(part).unwrap();
        assert_eq!(places(|events| events.dashes), [60]);
        assert_eq!(places(|events| events.digits), [at("12"), at("3}"), at("45")]);
        assert_eq!(places(|events| events.members), [at(": 12"), at(":3")]);
        assert_eq!(places(|events| events.runs), [at("a-b"), at("rrr")]);
        assert_eq!(places(|events| events.spread).len(), 0);
        let mut first = Vec::new();
        of(&masks, at("12"), &mut first);
        assert_eq!(first.last().map(|events| events.digits >> (at("12") % BLOCK)), Some(0));
    }
}
