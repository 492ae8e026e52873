//! The form of one sort of identifier: what it looks like, what proves it, and which words speak for it.

use super::super::judge::{Context, Kind};

/// One sort of identifier.
pub(super) struct Sort {
    /// What is proved by arithmetic, of letters and digits alone.
    pub(super) check: fn(&str) -> bool,
    pub(super) kind: Kind,
    /// How many letters and digits.
    pub(super) length: (usize, usize),
    /// The letters at each place, `9` for a digit, `A` for a letter, `*` for both; where it is shorter, its last one goes on.
    pub(super) form: &'static str,
    /// Words of which one, or several one after the other, speak for it.
    pub(super) words: &'static [&'static str],
    /// The score with a name or words that speak for it, and the score without; below 50 is no finding.
    pub(super) scores: (u8, u8),
}

impl Sort {
    /// How sure it is that `bare`, the letters and digits of a value, is one.
    pub(super) fn score(&self, bare: &str, context: &Context<'_>) -> Option<(u8, Speaks)> {
        let (least, most) = self.length;
        if bare.len() < least || bare.len() > most || !self.fits(bare) || !(self.check)(bare) {
            return None;
        }
        let speaks = speaks(context, self.words);
        let (named, alone) = self.scores;
        Some((
            match speaks {
                Speaks::Name => named,
                Speaks::Around => named.saturating_sub(3),
                Speaks::Words => named.saturating_sub(8),
                Speaks::Nothing => alone,
            },
            speaks,
        ))
    }

    /// Whether it is a card's number, which is also known by how it is written.
    pub(super) fn is_card(&self) -> bool {
        self.kind.name == "credit_card"
    }

    /// Whether `bare` has its letters and digits in their places.
    pub(super) fn fits(&self, bare: &str) -> bool {
        let mut form = self.form.chars();
        let mut wanted = '*';
        bare.chars().all(|letter| {
            wanted = form.next().unwrap_or(wanted);
            match wanted {
                '9' => letter.is_ascii_digit(),
                'A' => letter.is_ascii_uppercase(),
                '*' => letter.is_ascii_alphanumeric(),
                literal => letter.to_ascii_lowercase() == literal,
            }
        })
    }
}

/// What speaks for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// The names around its name.
    Around,
    /// Its name.
    Name,
    Nothing,
    /// The words before or after it.
    Words,
}

/// Which part of `context` has one of `phrases`: words that follow each other, with spaces between.
pub(super) fn speaks(context: &Context<'_>, phrases: &[&str]) -> Speaks {
    if is_said(context.name, Order::Forward, phrases) {
        Speaks::Name
    } else if is_said(context.names_around, Order::Backward, phrases) {
        Speaks::Around
    } else if is_said(context.before, Order::Backward, phrases)
        || is_said(context.after.get(..AFTER_WORDS_MAX).unwrap_or(context.after), Order::Forward, phrases)
    {
        Speaks::Words
    } else {
        Speaks::Nothing
    }
}

/// How many words after a value are looked at.
const AFTER_WORDS_MAX: usize = 6;

/// In which order words are read to make a phrase.
#[derive(Clone, Copy)]
enum Order {
    Backward,
    Forward,
}

/// Whether `words` have the words of a phrase one after the other. Most words begin no phrase, so that is asked first.
fn is_said(words: &[&str], order: Order, phrases: &[&str]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let first = word.as_bytes().first();
        phrases.iter().any(|phrase| {
            phrase.as_bytes().first() == first
                && phrase.len() >= word.len()
                && match phrase.strip_prefix(word) {
                    None => false,
                    Some("") => true,
                    Some(rest) => rest.strip_prefix(' ').is_some_and(|rest| goes_on(words, at, order, rest)),
                }
        })
    })
}

/// Whether the words from the one beside `at` are those of `phrase`.
fn goes_on(words: &[&str], mut at: usize, order: Order, phrase: &str) -> bool {
    phrase.split(' ').all(|wanted| {
        let next = match order {
            Order::Forward => at.checked_add(1),
            Order::Backward => at.checked_sub(1),
        };
        at = next.unwrap_or(usize::MAX);
        words.get(at) == Some(&wanted)
    })
}

/// One row of a table.
macro_rules! sorts {
    ($class:ident: $($name:literal $form:literal $least:literal..$most:literal $named:literal $alone:literal $check:expr, $words:expr;)+) => {
        &[$(crate::classify::detect::identifier::sort::Sort {
            check: $check,
            kind: crate::classify::detect::judge::Kind { class: crate::classify::detect::judge::Class::$class, name: $name },
            length: ($least, $most),
            form: $form,
            words: $words,
            scores: ($named, $alone),
        }),+]
    };
}
pub(super) use sorts;

/// That nothing proves it.
pub(super) fn unproved(_: &str) -> bool {
    true
}
