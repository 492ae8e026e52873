//! The form of one sort of identifier: what it looks like, what proves it, and which words speak for it.

use super::super::judge::{Context, Kind};

/// One sort of identifier.
pub(super) struct Sort {
    /// What is proved by arithmetic, of letters and digits alone.
    pub(super) check: fn(&str) -> bool,
    pub(super) kind: Kind,
    /// The words that the phrases of `words` begin with.
    pub(super) firsts: Firsts,
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
    pub(super) fn score(&self, bare: &str, context: &Context<'_>, said: &Firsts) -> Option<(u8, Speaks)> {
        let (least, most) = self.length;
        if bare.len() < least || bare.len() > most || !self.fits(bare) || !(self.check)(bare) {
            return None;
        }
        // Most words begin nothing that speaks for it.
        let speaks = if self.firsts.meets(said) { speaks(context, self.words) } else { Speaks::Nothing };
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

    /// Whether the digits of an issuer are asked for too.
    pub(super) fn is_issued(&self) -> bool {
        self.is_card() && self.scores.0 >= ISSUED
    }

    /// Whether `bare` has its letters and digits in their places.
    pub(super) fn fits(&self, bare: &str) -> bool {
        let mut form = self.form.bytes();
        let mut wanted = b'*';
        bare.bytes().all(|letter| {
            wanted = form.next().unwrap_or(wanted);
            match wanted {
                b'9' => letter.is_ascii_digit(),
                b'A' => letter.is_ascii_uppercase(),
                b'*' => letter.is_ascii_alphanumeric(),
                literal => letter.to_ascii_lowercase() == literal,
            }
        })
    }
}

/// The score of cards whose issuer is known.
const ISSUED: u8 = 95;

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

/// Words, as far as a bit for each tells one from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Firsts([u64; 4]);

impl Firsts {
    /// All words of `context`.
    pub(super) fn of(context: &Context<'_>) -> Self {
        let words = [context.name, context.names_around, context.before, context.after];
        words.into_iter().flatten().fold(Self::default(), |said, word| {
            let said = said.with(word.as_bytes());
            one(word).map_or(said, |one| said.with(one.as_bytes()))
        })
    }

    /// The first words of `phrases`, and all words of each as one.
    pub(super) const fn of_phrases(mut phrases: &[&str]) -> Self {
        let mut firsts = Self([0; 4]);
        while let Some((phrase, rest)) = phrases.split_first() {
            let mut length = 0;
            let mut left = phrase.as_bytes();
            while let Some((byte, behind)) = left.split_first()
                && *byte != b' '
            {
                length += 1;
                left = behind;
            }
            firsts = firsts.with(phrase.as_bytes().split_at(length).0);
            let mut spaces = 0;
            while let Some((byte, behind)) = left.split_first() {
                spaces += (*byte == b' ') as usize;
                left = behind;
            }
            if let [first, .., last] = phrase.as_bytes()
                && spaces > 0
            {
                firsts = firsts.with_word(*first, *last, phrase.len() - spaces);
            }
            phrases = rest;
        }
        firsts
    }

    const fn with(self, word: &[u8]) -> Self {
        match word {
            [first, .., last] => self.with_word(*first, *last, word.len()),
            [one] => self.with_word(*one, 0, 1),
            [] => self.with_word(0, 0, 0),
        }
    }

    /// With a word of `length` that begins with `first` and ends with `last`.
    const fn with_word(self, first: u8, last: u8, length: usize) -> Self {
        let place =
            (first as usize).wrapping_add((last as usize).wrapping_mul(7)).wrapping_add(length.wrapping_mul(31));
        let bit = 1_u64 << (place % 64);
        let Self([one, two, three, four]) = self;
        Self(match place / 64 % 4 {
            0 => [one | bit, two, three, four],
            1 => [one, two | bit, three, four],
            2 => [one, two, three | bit, four],
            _ => [one, two, three, four | bit],
        })
    }

    fn meets(&self, other: &Self) -> bool {
        let (Self([one, two, three, four]), Self([first, second, third, fourth])) = (self, other);
        one & first | two & second | three & third | four & fourth != 0
    }
}

/// Which part of `context` has one of `phrases`: words that follow each other, with spaces between.
pub(super) fn speaks(context: &Context<'_>, phrases: &[&str]) -> Speaks {
    if is_said(context.name, Order::Forward, phrases) {
        Speaks::Name
    } else if !context.names_around.is_empty() && is_said_around(context, phrases) {
        Speaks::Around
    } else if is_said(context.before, Order::Backward, phrases)
        // What has a name of its own is not named by the next one.
        || context.name.is_empty()
            && is_said(near(context.after), Order::Forward, phrases)
    {
        Speaks::Words
    } else {
        Speaks::Nothing
    }
}

/// The words after a value that may speak for it, and the one behind the last where that is only about it.
fn near<'w, 'c>(after: &'w [&'c str]) -> &'w [&'c str] {
    let is_about = after.get(AFTER_WORDS_MAX).is_some_and(|next| ABOUT.contains(next));
    after.get(..AFTER_WORDS_MAX + usize::from(is_about)).unwrap_or(after)
}

/// Whether the names around a name have a phrase, or begin one that the name ends: `{"sort":{"code":…}}`.
fn is_said_around(context: &Context<'_>, phrases: &[&str]) -> bool {
    let around = context.names_around;
    if is_said(around, Order::Backward, phrases) || is_said(around, Order::Forward, phrases) {
        return true;
    }
    let mut both = [""; NAME_WORDS_MAX];
    let words = around.iter().take(NAME_WORDS_MAX / 2).chain(context.name.iter().take(NAME_WORDS_MAX / 2));
    let mut count = 0;
    for (slot, word) in both.iter_mut().zip(words) {
        *slot = word;
        count += 1;
    }
    is_said(both.get(..count).unwrap_or_default(), Order::Forward, phrases)
}

/// How many words of a name and of those around it are read as one phrase.
const NAME_WORDS_MAX: usize = 8;

/// How many words after a value are looked at.
const AFTER_WORDS_MAX: usize = 6;

/// In which order words are read to make a phrase.
#[derive(Clone, Copy)]
enum Order {
    Backward,
    Forward,
}

/// Words that say of the word before them that the value is only about it: `pan_angle`.
const ABOUT: &[&str] = &[
    "angle",
    "brand",
    "count",
    "country",
    "enabled",
    "len",
    "length",
    "locale",
    "mask",
    "pattern",
    "prefix",
    "required",
    "thickness",
    "verified",
    "version",
];

/// Whether `words` have the words of a phrase one after the other, or as one word. Most phrases begin with a letter that no word begins with, so that is asked first.
fn is_said(words: &[&str], order: Order, phrases: &[&str]) -> bool {
    let letter = |text: &str| 1_u32 << (text.as_bytes().first().copied().unwrap_or(0) & 31);
    let letters = words.iter().fold(0, |letters, word| letters | letter(word));
    phrases.iter().filter(|phrase| letters & letter(phrase) != 0).any(|phrase| {
        let first = phrase.as_bytes().first();
        words.iter().enumerate().filter(|(_, word)| word.as_bytes().first() == first).any(|(at, word)| {
            // Read from the end, what comes before the word follows it.
            let next = match order {
                Order::Backward => at.checked_sub(1),
                Order::Forward => at.checked_add(1),
            };
            let is_about = next.and_then(|next| words.get(next)).is_some_and(|next| ABOUT.contains(next));
            if is_about {
                return false;
            }
            let begins = |word: &str| match phrase.strip_prefix(word) {
                None => false,
                Some("") => true,
                Some(rest) => rest.strip_prefix(' ').is_some_and(|rest| goes_on(words, at, order, rest)),
            };
            let may_be = |word: &str| begins(word) || is_joined(word, phrase);
            may_be(word) || one(word).is_some_and(may_be)
        })
    })
}

/// What `word` is several of, or the first of: `iban` of `ibans`, `street` of `street1`.
fn one(word: &str) -> Option<&str> {
    word.strip_suffix(|end: char| end == 's' || end.is_ascii_digit()).filter(|one| one.len() > 2)
}

/// Whether `word` is `phrase` without its spaces.
fn is_joined(word: &str, phrase: &str) -> bool {
    word.len() > 5
        && word.len() < phrase.len()
        && phrase.len() < word.len() + 8
        && phrase.bytes().filter(|byte| *byte != b' ').eq(word.bytes())
}

/// How names write `number`.
pub(crate) const NUMBERS: &[&str] = &["nbr", "no", "nr", "num", "numero", "nummer"];

/// Whether the words from the one beside `at` are those of `phrase`.
fn goes_on(words: &[&str], mut at: usize, order: Order, phrase: &str) -> bool {
    phrase.split(' ').all(|wanted| {
        let next = match order {
            Order::Forward => at.checked_add(1),
            Order::Backward => at.checked_sub(1),
        };
        at = next.unwrap_or(usize::MAX);
        words.get(at).is_some_and(|word| {
            *word == wanted || word.strip_suffix('s') == Some(wanted) || wanted == "number" && NUMBERS.contains(word)
        })
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
            firsts: crate::classify::detect::identifier::sort::Firsts::of_phrases($words),
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
