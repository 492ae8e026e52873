//! The judge of secrets: tokens by the marks of their makers, passwords and keys by their names, what addresses and commands carry, and private keys.
//!
//! It judges one candidate at a time and gives the range of the secret within it. What it never does: decode (the engine hands on what it decoded), and look at
//! anything but the candidate and the words around it. Start at [`judge`]; [`passage`] reads sentences and commands.

mod armour;
mod check;
mod command;
mod hashed;
mod located;
mod named;
mod passage;
mod password;
mod randomness;
mod shapes;
mod table;
mod value;
mod vendors;
mod words;

use super::judge::{Class, Context, Judged, Kind};

/// Longest candidate that is judged, in bytes; of a longer one, the start. Blocks of keys are of any length.
const CANDIDATE_BYTES_MAX: usize = 16 * 1024;

static HIGH_ENTROPY: Kind = Kind { class: Class::Secret, name: "high_entropy" };

/// Words, in lower case, for which a named value is worth a look, and which are worth keeping before a candidate.
pub(crate) const WORDS: &[&str] = &joined::<WORDS_COUNT>(LISTS);

/// Words that speak for a secret after others alone.
pub(crate) const SPEAKING: &[&str] = &["access", "private"];

/// What words end in that speak for a secret.
pub(crate) const TAILS: &[&str] = &["key", "passwd", "password", "passwort", "secret", "token"];

const LISTS: &[&[&str]] = &[
    words::PASSWORDS,
    words::SECRETS,
    words::SESSIONS,
    words::CODES,
    words::HASHES,
    words::KEYS,
    &["auth", "conn", "connection", "dsn", "key", "keys", "sig", "signature"],
    vendors::VENDORS,
];

const WORDS_COUNT: usize = count(LISTS);

const fn count(mut lists: &[&[&str]]) -> usize {
    let mut count = 0;
    while let Some((list, rest)) = lists.split_first() {
        count += list.len();
        lists = rest;
    }
    count
}

const fn joined<const N: usize>(mut lists: &[&[&'static str]]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut slots: &mut [&'static str] = &mut words;
    let mut list: &[&'static str] = &[];
    while let Some((slot, left)) = slots.split_first_mut() {
        while let (None, Some((first, rest))) = (list.first(), lists.split_first()) {
            list = first;
            lists = rest;
        }
        if let Some((word, more)) = list.split_first() {
            *slot = *word;
            list = more;
        }
        slots = left;
    }
    words
}

/// Literal text, in any case of its letters, at which the line or block around is worth a look as a [`passage`].
pub(crate) const TRIGGERS: &[&str] = &joined::<TRIGGERS_COUNT>(TRIGGER_LISTS);

const TRIGGER_LISTS: &[&[&str]] = &[passage::TRIGGERS, command::TRIGGERS];

const TRIGGERS_COUNT: usize = count(TRIGGER_LISTS);

/// The best judgement of a candidate: a run of token characters, the value of a name, a block in armour.
pub(crate) fn judge(value: &str, context: &Context<'_>) -> Option<Judged> {
    if context.name.is_empty() && written(value) {
        return None;
    }
    judged(value, |value| named::judge(value, context))
}

/// The judgement of a candidate of whose name and whose words nothing speaks, if it is as sure as `least`.
pub(crate) fn alone(value: &str, least: u8) -> Option<Judged> {
    // Most have neither a sign nor a mark, and are told by that.
    if least > BARE_SCORE && !shapes::may_be_marked(value) && Signs::of(value).is_none() {
        return None;
    }
    judged(value, |_| None)
}

/// How sure it is that a run drawn by lot is a secret, of which nothing else is known.
const BARE_SCORE: u8 = 35;

fn judged(value: &str, named: impl Fn(&str) -> Option<Judged>) -> Option<Judged> {
    if value.len() < 3 {
        return None;
    }
    let signs = Signs::of(value);
    if value.len() > 40
        && signs.has(Signs::SPACE)
        && value.contains("-----BEGIN ")
        && let Some(key) = armour::judge(value)
    {
        return Some(key);
    }
    let value = start(value);
    let marked = shapes::judge(value).map(|judged| vouched(judged, value, &named));
    if let Some(token) = marked.filter(|judged| judged.score >= 80) {
        return Some(token);
    }
    let hashed = if signs.has(Signs::HASH) { hashed::judge(value) } else { None };
    let located = if signs.has(Signs::PLACE) { located::judge(value) } else { None };
    [marked, hashed, located, named(value)]
        .into_iter()
        .flatten()
        .max_by_key(|judged| judged.score)
        .or_else(|| bare(value))
}

/// The signs that a value has, of those without which it is none of some sorts.
#[derive(Clone, Copy)]
struct Signs(u8);

impl Signs {
    /// `$` and `{`, of which hashes of passwords have one.
    const HASH: u8 = 1;
    /// `/`, `?`, `&` and `=`, of which addresses and connection strings have one.
    const PLACE: u8 = 2;
    const SPACE: u8 = 4;

    fn of(value: &str) -> Self {
        Self(value.bytes().fold(0, |signs, byte| {
            signs
                | match byte {
                    b'$' | b'{' => Self::HASH,
                    b'/' | b'?' | b'&' | b'=' => Self::PLACE,
                    b' ' => Self::SPACE,
                    _ => 0,
                }
        }))
    }

    const fn is_none(self) -> bool {
        self.0 == 0
    }

    const fn has(self, sign: u8) -> bool {
        self.0 & sign != 0
    }
}

/// The best judgement of a line, or of up to a kilobyte around a trigger: the first secret in it that is one at the default threshold. A caller looks again from its
/// end.
pub(crate) fn passage(text: &str) -> Option<Judged> {
    passage::judge(text)
}

fn start(value: &str) -> &str {
    let mut end = value.len().min(CANDIDATE_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value.get(..end).unwrap_or(value)
}

/// Names, paths and words without a digit: most of what a run of token characters is.
fn written(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-./+~".contains(&byte))
        && !randomness::drawn(value)
        && !is_key_id(value)
}

/// The id of a key of AWS, which may have no digit.
fn is_key_id(value: &str) -> bool {
    value.len() == 20 && value.starts_with('A') && value.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// A shape that much else has is a token where a name or a word says so.
fn vouched(judged: Judged, value: &str, named: impl Fn(&str) -> Option<Judged>) -> Judged {
    if judged.score >= 50 {
        return judged;
    }
    let Some(token) = value.get(judged.start..judged.end) else { return judged };
    named(token).map_or(judged, |named| Judged { score: named.score.max(80), ..judged })
}

/// A run that was drawn by lot, and of which nothing else is known.
fn bare(value: &str) -> Option<Judged> {
    let run = value.len() >= 20
        && value.len() <= 256
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+/=.~".contains(&byte));
    if !run || value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return None;
    }
    let sorts = [u8::is_ascii_digit, u8::is_ascii_lowercase, u8::is_ascii_uppercase]
        .iter()
        .filter(|sort| value.bytes().any(|byte| sort(&byte)))
        .count();
    let secret = sorts == 3 && randomness::drawn(value) && !value::stands_in(value);
    secret.then_some(Judged { end: value.len(), kind: &HIGH_ENTROPY, score: BARE_SCORE, start: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, name: &[&str], before: &[&str], expected: Option<(&str, &str)>) {
        let context = Context { before, name, ..Context::default() };
        let found = judge(value, &context).filter(|judged| judged.score >= 50);
        let found =
            found.and_then(|judged| value.get(judged.start..judged.end).map(|secret| (judged.kind.name, secret)));
        assert_eq!(found, expected, "`{value}` named {name:?} after {before:?}");
    }

    #[test]
    fn marked_tokens_need_no_name() {
        let tail =
            |length: usize| "aB3xY9Qzk8vT2mZ7Rw4bLs1cD5fG6hJ0nPpMqKtVuWeR".repeat(8).get(..length).unwrap().to_owned();
        for (token, kind) in [
            (format!("ghp_{}", tail(36)), "github_token"),
            (format!("glpat-{}", tail(20)), "gitlab_token"),
            (format!("sk_live_{}", tail(24)), "stripe_key"),
            (format!("AIza{}", tail(35)), "google_api_key"),
            (format!("hf_{}", tail(34)), "huggingface_token"),
            (format!("SG.{}.{}", tail(22), tail(43)), "sendgrid_key"),
            (format!("abc8Q~{}", tail(34)), "azure_client_secret"),
        ] {
            check(&token, &[], &[], Some((kind, &token)));
            check(&format!("x={token}"), &[], &[], Some((kind, &token)));
            check(&format!("z{token}"), &[], &[], None);
        }
    }

    #[test]
    fn what_makers_publish_is_no_secret() {
        for value in [
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xoxb-xxxxxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx",
            "sk_live_...",
        ] {
            check(value, &["token"], &[], None);
        }
    }

    #[test]
    fn a_run_drawn_by_lot_needs_a_word_that_speaks_for_it() {
        let run = "kQ9vT2mZ7Rw4bLs8xY3n";
        check(run, &[], &[], None);
        check(run, &[], &["commit"], None);
        check(run, &[], &["token"], Some(("secret", run)));
        check(run, &[], &["is", "key", "api"], Some(("secret", run)));
        check("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", &[], &["commit", "token"], None);
        assert_eq!(judge(run, &Context::default()).map(|judged| judged.score), Some(35));
    }

    #[test]
    fn holders_take_the_name_around_them() {
        let context = Context { name: &["value"], names_around: &["password", "db"], ..Context::default() };
        assert_eq!(judge("hunter2", &context).map(|judged| judged.kind.name), Some("password"));
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic() {
        let pieces = [
            "://",
            "é",
            "-----BEGIN ",
            "=",
            "password",
            "$2b$",
            "?sig=",
            "🦀",
            "eyJ",
            ".",
            ":",
            "\"",
            "LS0tLS1CRUdJTi",
            "-u",
            " ",
            "@",
            "PRIVATE KEY-----",
        ];
        let mut seed = 7u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[usize::try_from(seed >> 33).unwrap() % pieces.len()]);
            }
            for context in [
                Context::default(),
                Context { name: &["password"], ..Context::default() },
                Context { before: &["token"], ..Context::default() },
            ] {
                for judged in [judge(&text, &context), passage(&text)].into_iter().flatten() {
                    assert!(text.get(judged.start..judged.end).is_some_and(|secret| !secret.is_empty()), "{text}");
                    assert!((1..=100).contains(&judged.score));
                }
            }
        }
    }

    #[test]
    fn the_vocabulary_is_whole() {
        assert_eq!(WORDS.len(), WORDS_COUNT);
        assert!(WORDS.iter().all(|word| !word.is_empty() && *word == word.to_lowercase()));
        for word in ["password", "okta", "key", "token", "pin"] {
            assert!(WORDS.contains(&word), "{word}");
        }
    }
}
