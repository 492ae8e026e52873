//! How much a run of characters looks as if drawn by lot, and not written by people.

/// Tenths of bits for a pair of characters that people write: words, identifiers, numbers between them. A run above it was drawn by lot.
pub(super) const DRAWN: u32 = 46;

/// Tenths of bits that a pair of characters of the run carries in the mean, where the reader expects words and identifiers; 0 for a run of fewer than two.
pub(super) fn bits(run: &str) -> u32 {
    let mut total = 0;
    let mut pairs = 0;
    for pair in run.as_bytes().windows(2) {
        if let &[one, two] = pair {
            total += cost(one, two);
            pairs += 1;
        }
    }
    total.checked_div(pairs).unwrap_or(0)
}

/// Whether the run was likely drawn by lot.
pub(super) fn drawn(run: &str) -> bool {
    bits(run) >= DRAWN
}

fn cost(one: u8, two: u8) -> u32 {
    match (one, two) {
        (b'a'..=b'z', b'A'..=b'Z') => 45,
        (b'a'..=b'z' | b'A'..=b'Z', b'a'..=b'z' | b'A'..=b'Z') => letters(one, two),
        (b'0'..=b'9', b'0'..=b'9') => 34,
        (b'a'..=b'z' | b'A'..=b'Z', b'0'..=b'9') | (b'0'..=b'9', b'a'..=b'z' | b'A'..=b'Z') => 60,
        _ => 30,
    }
}

fn letters(one: u8, two: u8) -> u32 {
    let place = |letter: u8| usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
    let bits = LETTERS.get(place(one)).and_then(|row| row.get(place(two))).copied().unwrap_or(b'6');
    u32::from(bits.wrapping_sub(b'0')) * 10
}

/// Bits of surprise at the second letter after the first, from words and identifiers of programs and their manuals: a row for each first letter.
static LETTERS: [[u8; 26]; 26] = [
    *b"95449759596343959343667769",
    *b"36563777358377369446499957",
    *b"39673893594468279463589979",
    *b"46752679288577479546578869",
    *b"47435568798553757334866579",
    *b"48664378299477379455499969",
    *b"48772864499564479446479988",
    *b"28762897398667389564599969",
    *b"56455559998452459543959795",
    *b"39672798485786359637295879",
    *b"48651668399475668636585979",
    *b"38752789398387379845579949",
    *b"25762899398657339856599979",
    *b"48433538496686469733668979",
    *b"76448669696442549344455899",
    *b"38663786498387349354597959",
    *b"77767899789586776557097899",
    *b"37552769396656369544677959",
    *b"58472774396667548742487969",
    *b"38672794399667469445587959",
    *b"54554669599442649333899998",
    *b"27991789398967479778978899",
    *b"37653694398584388347997799",
    *b"46363576499568539652788467",
    *b"65564577498543538533765867",
    *b"48681896389757479767798974",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_lots() {
        for written in
            ["userPassword", "PrivateKeyDer", "opensesame", "max_retry_count", "getUserByEmailAddress", "2024-11-26"]
        {
            assert!(!drawn(written), "`{written}` carries {}", bits(written));
        }
        for lot in ["qX7vT2mZk9Rw4bLs", "9f86d081c7b2e4a3", "zkqvxjwpfbgtmhyd", "J7cQ1xZ8pL3vN6tY"] {
            assert!(drawn(lot), "`{lot}` carries {}", bits(lot));
        }
        assert_eq!(bits("a"), 0);
    }
}
