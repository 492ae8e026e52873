//! Check digits and other arithmetic of identifiers. All take letters and digits alone, upper case, without separators; what is too short or of other letters fails.

/// The digits of `text`, all of which are digits.
pub(super) fn digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|letter| letter.to_digit(10)).collect()
}

/// Digits, and letters as 10 and more.
pub(super) fn values(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|letter| letter.to_digit(36)).collect()
}

/// The sum of `digits` with `weights`, as far as both go.
pub(super) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// ISO/IEC 7812-1, Luhn.
pub(super) fn luhn(text: &str) -> bool {
    digits(text).is_some_and(|digits| luhn_sum(&digits).is_multiple_of(10))
}

pub(super) fn luhn_sum(digits: &[u32]) -> u32 {
    let doubled = |(at, digit): (usize, &u32)| match (at % 2, digit * 2) {
        (0, _) => *digit,
        (_, twice) if twice > 9 => twice - 9,
        (_, twice) => twice,
    };
    digits.iter().rev().enumerate().map(doubled).sum()
}

/// The remainder by 97 of a number whose letters stand for two digits.
pub(super) fn mod_97(text: &str) -> Option<u32> {
    text.chars().try_fold(0, |rest, letter| {
        let value = letter.to_digit(36)?;
        Some((rest * if value > 9 { 100 } else { 10 } + value) % 97)
    })
}

/// ISO 13616: the remainder of what was turned round.
pub(super) fn iban(text: &str) -> bool {
    let Some((country, rest)) = text.split_at_checked(4) else { return false };
    let length = IBAN_LENGTHS.iter().find(|(code, _)| country.starts_with(code)).map(|(_, length)| *length);
    let has_check = country.bytes().skip(2).all(|byte| byte.is_ascii_digit());
    length == Some(text.len()) && has_check && mod_97(&format!("{rest}{country}")) == Some(1)
}

/// Lengths by country, of the registry of ISO 13616.
const IBAN_LENGTHS: [(&str, usize); 90] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IR", 26),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("MZ", 25),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("MA", 28),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// The last digit is `(11 - sum mod 11) mod 11`, where ten is taken as `ten`, or by nothing.
pub(super) fn mod_11(text: &str, weights: &[u32], ten: Option<u32>) -> bool {
    let Some(digits) = digits(text) else { return false };
    let Some((last, body)) = digits.split_last() else { return false };
    if body.len() != weights.len() {
        return false;
    }
    match (11 - weighted(body, weights) % 11) % 11 {
        10 => ten == Some(*last),
        check => check == *last,
    }
}

/// ISO 7064, MOD 11,10.
pub(super) fn mod_11_10(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let Some((last, body)) = digits.split_last() else { return false };
    let rest = body.iter().fold(10, |rest, digit| {
        let sum = (rest + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - rest) % 10 == *last
}

/// The dihedral scheme of Verhoeff.
pub(super) fn verhoeff(text: &str) -> bool {
    const MULTIPLY: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const PERMUTE: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let Some(digits) = digits(text) else { return false };
    let mut check = 0;
    for (at, digit) in digits.iter().rev().enumerate() {
        let mut place = usize::try_from(*digit).unwrap_or_default();
        for _ in 0..at % 8 {
            place = PERMUTE.get(place).copied().unwrap_or_default();
        }
        check = MULTIPLY.get(check).and_then(|row| row.get(place)).copied().map_or(10, usize::from);
    }
    check == 0
}

/// Whether year, month and day can be one; the year as two digits or four.
pub(super) fn is_date(year: u32, month: u32, day: u32) -> bool {
    let most = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return false,
    };
    (1..=most).contains(&day) && (year < 100 || (1900..=2100).contains(&year))
}

/// The number in `text` from `start`, `length` digits long.
pub(super) fn number(text: &str, start: usize, length: usize) -> Option<u32> {
    text.get(start..start + length)?.parse().ok()
}

/// Whether the six digits from `start` are a date of this order.
pub(super) fn has_date(text: &str, start: usize, order: &str) -> bool {
    let part = |letter: char| {
        let at = order.find(letter)?;
        number(text, start + at, order.chars().filter(|known| *known == letter).count())
    };
    matches!((part('y'), part('m'), part('d')), (Some(year), Some(month), Some(day)) if is_date(year, month, day))
}
