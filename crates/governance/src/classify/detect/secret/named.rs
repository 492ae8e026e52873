//! Values by what they are called, and by the words before them.

use super::super::judge::{Class, Context, Judged, Kind};
use super::value::{self, Look, Makeup};
use super::vendors::VENDORS;
use super::words::{self, has};
use super::{hashed, located, password, randomness};

macro_rules! kind {
    ($name:literal) => {
        &Kind { class: Class::Secret, name: $name }
    };
}

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// It unlocks or serves once.
    Code,
    /// It is the hash of a password.
    Hash,
    /// It is a key of some sort.
    Key,
    /// It is about a secret, and none.
    Never,
    /// Nothing.
    Nothing,
    /// It is a password.
    Password,
    /// It is a key or token worth stealing.
    Secret,
    /// It keeps a session open.
    Session,
}

/// The best judgement of a value that has a name or words before it.
pub(super) fn judge(value: &str, context: &Context<'_>) -> Option<Judged> {
    let around = |one: char| one.is_whitespace() || matches!(one, '"' | '\'' | '`' | ';' | ',');
    let trimmed = value.trim_start_matches(around);
    let offset = value.len() - trimmed.len();
    let trimmed = trimmed.trim_end_matches(around);
    let judged = if context.name.is_empty() { spoken(trimmed, context) } else { called(trimmed, context) }?;
    Some(Judged { end: judged.end + offset, start: judged.start + offset, ..judged })
}

fn called(value: &str, context: &Context<'_>) -> Option<Judged> {
    const HOLDERS: &[&str] = &[
        "content",
        "current",
        "data",
        "default",
        "eq",
        "equals",
        "new",
        "old",
        "plaintext",
        "query",
        "raw",
        "s",
        "str",
        "string",
        "text",
        "to",
        "v",
        "val",
        "value",
        "values",
    ];
    let holder = context.name.iter().all(|word| has(HOLDERS, word));
    let around = context.names_around.get(..context.names_around.len().min(4)).unwrap_or(&[]);
    let (name, sense) = if holder { (around, sense(around)) } else { (context.name, sense(context.name)) };
    // The word before it goes on with a name that stops at a space: `api schlüssel=…`.
    let is_foreign_key = name.len() == 1
        && name.iter().all(|word| has(words::KEYS, word))
        && context.before.first().is_some_and(|word| has(words::BEFORE_KEY, word));
    let sense = if is_foreign_key { Sense::Secret } else { sense };
    // The name of a secret in a store of them, and a token that tells one call from another.
    let is_drawn = context.name.contains(&"random") && context.name.contains(&"seed");
    let is_name = context.before.iter().any(|word| matches!(*word, "arn" | "secretsmanager"));
    if is_name || is_drawn || name == ["client", "token"] && value::look(value) == Look::Uuid {
        return None;
    }
    let vendor = name.iter().chain(around).any(|word| has(VENDORS, word));
    if let Some(carried) = scheme(value).filter(|judged| judged.score >= 80) {
        return Some(carried);
    }
    match sense {
        Sense::Never => None,
        // Beside who logs in, short names are of nothing else.
        Sense::Password if context.before.iter().chain(context.name).any(|word| USERS.contains(word)) => {
            password::judge(value, &["password"])
        }
        Sense::Password => password::judge(value, name),
        Sense::Secret => scheme(value).or_else(|| secret(value, name)),
        Sense::Hash => hashed::named(value).or_else(|| secret(value, name)),
        Sense::Session => session(value),
        Sense::Code => code(value, context),
        // A parameter of an address.
        Sense::Key
            if context.name == ["key"] && context.before.iter().any(|word| matches!(*word, "http" | "https")) =>
        {
            token(value, kind!("api_key"), Doubt::Some)
        }
        Sense::Key if vendor => token(value, kind!("api_key"), Doubt::Little),
        Sense::Key if name.len() < 2 && value.len() >= 16 && value::look(value) == Look::Hex => None,
        Sense::Key => token(value, kind!("api_key"), Doubt::Much),
        Sense::Nothing
            if name.iter().any(|word| has(VENDORS, word) && !has(words::AMBIGUOUS, word))
                && !name.iter().any(|word| RELEASES.contains(word)) =>
        {
            token(value, kind!("api_key"), Doubt::Some)
        }
        Sense::Nothing => match (name, self::sense(around)) {
            (["code" | "phrase"], Sense::Code) => code(value, context),
            (["id"], Sense::Session) => session(value),
            _ => signed(value, name),
        },
    }
}

/// Words for who logs in.
const USERS: &[&str] = &["connect", "connecting", "login", "logon", "user", "username"];

/// Words for what a maker's service keeps that is no key to it.
const RELEASES: &[&str] = &[
    "branch",
    "build",
    "checksum",
    "commit",
    "digest",
    "environment",
    "hash",
    "image",
    "org",
    "project",
    "release",
    "revision",
    "sha",
    "tag",
    "version",
];

/// A run without a name, by the words before it.
fn spoken(value: &str, context: &Context<'_>) -> Option<Judged> {
    const FILLERS: &[&str] = &[
        "a",
        "an",
        "are",
        "as",
        "be",
        "for",
        "here",
        "in",
        "is",
        "it",
        "mine",
        "my",
        "new",
        "now",
        "of",
        "old",
        "on",
        "our",
        "s",
        "set",
        "temporary",
        "the",
        "this",
        "to",
        "use",
        "using",
        "value",
        "was",
        "with",
        "your",
    ];
    if context.before.first() == Some(&"basic") && located::basic(value) {
        return found(kind!("basic_auth"), value, 90);
    }
    let address = value.starts_with("//") || value.contains("://");
    if value.len() < 12 || address || matches!(value::look(value), Look::Letters | Look::Digits) {
        return None;
    }
    let mut near = [""; 4];
    let mut count = 0;
    for word in context.before.iter().filter(|word| !has(FILLERS, word)).take(4) {
        if let Some(slot) = near.iter_mut().rev().nth(count) {
            *slot = word;
            count += 1;
        }
    }
    let near = near.get(4 - count..).unwrap_or(&[]);
    let digest = near.iter().rev().take(2).any(|word| has(words::DIGESTS, word));
    let vendor = near.iter().any(|word| has(VENDORS, word));
    let alone = near.iter().any(|word| has(VENDORS, word) && !has(words::AMBIGUOUS, word));
    let last = near.last().copied().unwrap_or("");
    // The end of a line of base64 before it may read like a short word.
    let is_long = value.len() > 48;
    let is_line = is_long && value.contains(['/', '+']);
    let is_written_out = |word: &&str| word.len() > 4 && has(words::PASSWORDS, word);
    let around = match sense(near) {
        _ if digest => None,
        Sense::Password if is_long && !near.iter().any(is_written_out) => None,
        Sense::Key | Sense::Nothing if is_line => None,
        Sense::Password | Sense::Secret => token(value, kind!("secret"), Doubt::Some),
        Sense::Key if vendor => token(value, kind!("api_key"), Doubt::Some),
        Sense::Nothing if vendor && matches!(last, "access" | "private" | "api") => {
            token(value, kind!("api_key"), Doubt::Some)
        }
        Sense::Key if value::look(value) == Look::Hex => None,
        Sense::Key => token(value, kind!("api_key"), Doubt::Much),
        Sense::Nothing if alone || matches!(last, "access" | "private") => token(value, kind!("api_key"), Doubt::Much),
        _ => None,
    };
    around.or_else(|| said_after(value, context)).or_else(|| glued(value))
}

/// A run that words behind it name: `use … as the client secret`.
fn said_after(value: &str, context: &Context<'_>) -> Option<Judged> {
    let (first, rest) = context.after.split_first().filter(|(first, _)| matches!(**first, "as" | "is"))?;
    let rest =
        rest.strip_prefix(&["the"]).or(rest.strip_prefix(&["your"])).or(rest.strip_prefix(&["a"])).unwrap_or(rest);
    let rest = rest.get(..rest.len().min(if *first == "is" { 2 } else { 3 })).unwrap_or(rest);
    // What follows the word for it would be about it.
    let end = rest.iter().position(|word| matches!(*word, "for" | "to" | "in" | "when" | "of" | "and" | "on"));
    match sense(rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest)) {
        Sense::Password | Sense::Secret => token(value, kind!("secret"), Doubt::Some),
        _ => None,
    }
}

/// A name and its value in one run: `token=…`, `apikey-…`.
fn glued(value: &str) -> Option<Judged> {
    let parted = |byte: u8| matches!(byte, b'=' | b':' | b'-' | b'.' | b'_');
    let mut pairs = value.as_bytes().windows(2).take(64);
    let equals = pairs.position(|pair| matches!(pair, &[b'=', next] if next != b'='));
    let mut marks = value.bytes().enumerate().take(64).filter(|(_, byte)| parted(*byte)).map(|(at, _)| at);
    match equals {
        Some(at) => split(value, at),
        None => marks.by_ref().take(4).find_map(|at| split(value, at)),
    }
}

fn split(value: &str, at: usize) -> Option<Judged> {
    const ENDS: &[&str] =
        &["token", "secret", "key", "password", "passwd", "pwd", "pass", "access", "private", "auth", "credential"];
    let name = value.get(..at)?;
    let secret = value.get(at + 1..)?.trim_start_matches(['=', '-', ':', '.', '_']);
    let start = value.len() - secret.len();
    if secret.len() < 16 || name == "key" || randomness::drawn(name) || is_pod(secret) {
        return None;
    }
    if !ENDS.iter().any(|end| ends(name, end)) {
        return None;
    }
    let lower = spaced(name);
    let words: Vec<&str> = lower.split(' ').filter(|word| !word.is_empty()).collect();
    match (sense(&words), words.last()) {
        (Sense::Password | Sense::Secret | Sense::Key, _) | (Sense::Nothing, Some(&("access" | "private"))) => {}
        _ => return None,
    }
    let judged = token(secret, kind!("secret"), Doubt::Some)?;
    Some(Judged { end: judged.end + start, start: judged.start + start, ..judged })
}

/// Whether it ends as clusters name what they start: `…-7d9f6c5b4d-x2x5z`.
fn is_pod(value: &str) -> bool {
    let is_drawn = |part: &str| part.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte));
    let is_hash = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit()) || is_drawn(part);
    let mut parts = value.rsplit('-');
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    last.len() == 5 && is_drawn(last) && (8..=10).contains(&before.len()) && is_hash(before)
}

/// Whether the name ends with the word, in either case of its letters.
fn ends(name: &str, word: &str) -> bool {
    let tail = name.len().checked_sub(word.len()).and_then(|from| name.get(from..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(word))
}

/// The words of a name in lower case, with spaces between them.
fn spaced(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let mut small = false;
    for one in name.chars() {
        if one.is_uppercase() && small || !one.is_alphanumeric() {
            words.push(' ');
        }
        small = one.is_lowercase();
        if one.is_alphanumeric() {
            words.extend(one.to_lowercase());
        }
    }
    words
}

/// What the words of a name say, in the order in which they are read.
pub(super) fn sense(name: &[&str]) -> Sense {
    let mut sense = Sense::Nothing;
    let mut about = false;
    let mut hash = false;
    for (at, word) in name.iter().enumerate() {
        // `key1` and `password2` are a key and a password.
        let one = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let word = if one.len() > 2 && !has(words::NEVER, word) { &one } else { word };
        // `otps` are several of them.
        let one = word.strip_suffix('s').filter(|one| *one != "passe" && has_any(LISTS, one));
        let word = if let Some(one) = &one { one } else { word };
        let found = if *word == "pass" && at + 1 < name.len() {
            Sense::Nothing
        } else if has(words::PASSWORDS, word) {
            Sense::Password
        } else if has(words::SECRETS, word) || *word == "seeds" {
            Sense::Secret
        } else if matches!(*word, "key" | "keys") {
            key(name, at)
        } else if *word == "clave" && name.contains(&"acceso") {
            Sense::Password
        } else if *word == "auth" && at + 1 == name.len()
            || has(words::KEYS, word) && name.iter().any(|word| has(words::BEFORE_KEY, word))
        {
            Sense::Secret
        } else if has(words::SESSIONS, word) {
            Sense::Session
        } else if has(words::CODES, word) {
            Sense::Code
        } else {
            glued_sense(word)
        };
        match found {
            Sense::Nothing => {
                about |= sense != Sense::Nothing && has(words::ABOUT, word);
                hash |= has(words::HASHES, word);
            }
            Sense::Never => return Sense::Never,
            // `session_password` is a password and `password_session` a session: the last decides, but `token_key` and `secret_key` are no less than the first.
            Sense::Key if sense != Sense::Nothing => {}
            Sense::Session | Sense::Code if matches!(sense, Sense::Secret | Sense::Password) => {}
            found => {
                sense = found;
                about = false;
            }
        }
        if has(words::NEVER, word) && !(hash && sense == Sense::Password) {
            return Sense::Never;
        }
    }
    match sense {
        Sense::Password if hash => Sense::Hash,
        Sense::Nothing | Sense::Code | Sense::Session => sense,
        _ if about => Sense::Never,
        _ => sense,
    }
}

const LISTS: &[&[&str]] = &[words::PASSWORDS, words::SECRETS, words::SESSIONS, words::CODES];

fn has_any(lists: &[&[&str]], word: &str) -> bool {
    word.len() > 2 && lists.iter().any(|list| has(list, word))
}

fn key(name: &[&str], at: usize) -> Sense {
    const ELSE: &[&str] = &[
        "accelerator",
        "array",
        "by",
        "cache",
        "column",
        "dedup",
        "dictionary",
        "field",
        "group",
        "hash",
        "hot",
        "i18n",
        "idempotency",
        "index",
        "item",
        "json",
        "lookup",
        "map",
        "message",
        "object",
        "order",
        "partition",
        "press",
        "range",
        "react",
        "routing",
        "row",
        "s3",
        "shortcut",
        "site",
        "sort",
        "translation",
        "unique",
        "object",
    ];
    let before = at.checked_sub(1).and_then(|before| name.get(before)).copied().unwrap_or("");
    if ELSE.contains(&before) {
        Sense::Nothing
    } else if has(words::BEFORE_KEY, before) || name.iter().any(|word| has(words::BEFORE_KEY, word)) {
        Sense::Secret
    } else {
        Sense::Key
    }
}

/// Names that are written as one word: `dbpassword`, `stripetoken`.
fn glued_sense(word: &str) -> Sense {
    let ends = |tails: &[&str]| tails.iter().any(|tail| word.len() > tail.len() && word.ends_with(tail));
    if ends(&["password", "passwd", "passwort"]) {
        Sense::Password
    } else if ends(&["secret", "token", "apikey", "secretkey", "accesskey", "privatekey"]) {
        Sense::Secret
    } else if ends(&["key"])
        && !matches!(
            word,
            "monkey"
                | "turkey"
                | "hockey"
                | "jockey"
                | "donkey"
                | "hotkey"
                | "whiskey"
                | "disckey"
                | "lackey"
                | "keykey"
        )
    {
        Sense::Key
    } else {
        Sense::Nothing
    }
}

fn found(kind: &'static Kind, value: &str, score: u8) -> Option<Judged> {
    Some(Judged { end: value.len(), kind, score, start: 0 })
}

/// The value of a header of authorization, with or without a scheme.
pub(super) fn header(value: &str) -> Option<Judged> {
    scheme(value).or_else(|| token(value.split(' ').next().unwrap_or(value), kind!("bearer_token"), Doubt::Some))
}

/// The value of a header that names its scheme first.
fn scheme(value: &str) -> Option<Judged> {
    let (scheme, rest) = value.split_once([' ', '\t'])?;
    let rest = rest.trim_start();
    let start = value.len() - rest.len();
    let secret = rest.split([' ', ',', '"', '\'', ';']).next().unwrap_or(rest);
    let (kind, score) = match () {
        () if secret.len() < 6 || value::stands_in(secret) => return None,
        () if scheme.eq_ignore_ascii_case("basic") => {
            (kind!("basic_auth"), if located::basic(secret) { 92 } else { 45 })
        }
        () if [
            "bearer",
            "token",
            "apikey",
            "ssws",
            "splunk",
            "ntlm",
            "negotiate",
            "key",
            "genie-key",
            "bot",
            "oauth",
        ]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known)) =>
        {
            (kind!("bearer_token"), if bearable(secret) { 86 } else { 40 })
        }
        () => return None,
    };
    Some(Judged { end: start + secret.len(), kind, score, start })
}

fn bearable(secret: &str) -> bool {
    !matches!(value::look(secret), Look::Letters | Look::Digits) || secret.len() >= 24
}

fn secret(value: &str, name: &[&str]) -> Option<Judged> {
    let kind = match name.iter().rev().find(|word| matches!(**word, "token" | "bearer" | "key" | "apikey" | "secret")) {
        Some(&("token" | "bearer")) => kind!("token"),
        Some(&("key" | "apikey")) => kind!("api_key"),
        _ => kind!("secret"),
    };
    if name.contains(&"phrase") && mnemonic(&Makeup::of(value)) {
        return found(kind!("seed_phrase"), value, 85);
    }
    if name.iter().any(|word| matches!(*word, "mnemonic" | "mnemonics" | "seed" | "seeds")) {
        return if mnemonic(&Makeup::of(value)) {
            found(kind!("seed_phrase"), value, 85)
        } else {
            token(value, kind, Doubt::Some)
        };
    }
    token(value, kind, Doubt::Little)
}

/// Twelve to twenty-five words in small letters.
fn mnemonic(made: &Makeup) -> bool {
    (11..=24).contains(&made.spaces) && made.digits + made.upper + made.marks == 0
}

/// The signature of an address that lets in whoever has it, by the name of its parameter.
fn signed(value: &str, name: &[&str]) -> Option<Judged> {
    let is_named = match name {
        ["sig"] => matches!(value.len(), 43 | 44) && value.len() - value.trim_end_matches('=').len() < 2,
        ["x", "amz" | "goog", "signature"] => value.len() >= 64,
        _ => false,
    };
    let is_drawn = is_named && matches!(value::look(value), Look::Random | Look::Hex) && !value::stands_in(value);
    is_drawn.then_some(Judged { end: value.len(), kind: kind!("signed_url"), score: 84, start: 0 })
}

/// How little the name or words say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// The name says it all.
    Little,
    /// A word nearby does.
    Some,
    /// The name has much else.
    Much,
}

fn token(value: &str, kind: &'static Kind, doubt: Doubt) -> Option<Judged> {
    if !(6..=8192).contains(&value.len()) || value.bytes().any(|byte| byte <= b' ' || byte == b'"') {
        return None;
    }
    let piece = value.contains(['(', ')', '{', '}', '[', ']', '<', '>']) || value.contains('/') && value.contains('.');
    if piece && doubt != Doubt::Little {
        return None;
    }
    let long = value.len() >= 16;
    let score = match (value::look(value), doubt) {
        (Look::Uuid, Doubt::Little) => 75,
        (Look::Uuid, Doubt::Some) => 60,
        (Look::Uuid, Doubt::Much) => 50,
        (Look::Hex, Doubt::Little) => 86,
        (Look::Hex, Doubt::Some) => 70,
        (Look::Hex, Doubt::Much) => 52,
        (Look::Random, Doubt::Little) => 88,
        (Look::Random, Doubt::Some) if long => 75,
        (Look::Random, Doubt::Much) if long && value.bytes().any(|byte| byte.is_ascii_digit()) => 58,
        (Look::Digits, Doubt::Little) if value.len() >= 14 && value.len() <= 40 && !value.contains(['.', ':', ',']) => {
            55
        }
        (Look::Chosen, Doubt::Little) if value.len() >= 8 && chosen(value) => 70,
        (Look::Mixed, Doubt::Little) if scattered(value) => 62,
        (Look::Mixed, Doubt::Some) if long && scattered(value) => 55,
        _ => return None,
    };
    if value::stands_in(value) || password::said(value) {
        return None;
    }
    found(kind, value, score)
}

fn chosen(value: &str) -> bool {
    let made = Makeup::of(value);
    made.digits > 0 || made.marks >= 2 && randomness::bits(value) >= 36
}

/// Digits between letters as no one names things: twice and more, or three and more of them in a short run.
fn scattered(value: &str) -> bool {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let changes = value
        .as_bytes()
        .windows(2)
        .filter(|pair| pair.first().is_some_and(digit) != pair.last().is_some_and(digit))
        .count();
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    !value::dated(value)
        && digits >= 3
        && !value.contains(['.', '/', ':', '_'])
        && (changes >= 2 || digits >= 4)
        && !value.contains('-')
        || changes >= 5 && !value::dated(value)
}

/// What keeps a session open: the longest run of a cookie's values that was drawn by lot.
fn session(value: &str) -> Option<Judged> {
    let mut best: Option<Judged> = None;
    let mut at = 0;
    for part in value.split([';', ' ', ',']) {
        let secret = part.split_once('=').map_or(part, |(_, secret)| secret);
        let start = at + part.len() - secret.len();
        at += part.len() + 1;
        let drawn =
            secret.len() >= 20 && matches!(value::look(secret), Look::Random | Look::Hex) && !value::stands_in(secret);
        let drawn = drawn && !value::called(secret);
        if drawn && best.is_none_or(|known| secret.len() > known.end - known.start) {
            best = Some(Judged { end: start + secret.len(), kind: kind!("session"), score: 65, start });
        }
    }
    best
}

/// A number to unlock with, or a code for one use.
fn code(value: &str, context: &Context<'_>) -> Option<Judged> {
    const LOCKS: &[&str] = &[
        "access",
        "account",
        "alarm",
        "atm",
        "bank",
        "card",
        "code",
        "customer",
        "debit",
        "door",
        "gate",
        "lock",
        "login",
        "number",
        "phone",
        "puk",
        "safe",
        "security",
        "sim",
        "unlock",
        "user",
        "voicemail",
    ];
    let words = || context.name.iter().chain(context.names_around);
    let any = |list: &[&str]| words().any(|word| list.contains(word));
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let made = Makeup::of(value);
    match () {
        () if digits && (4..=8).contains(&value.len()) && any(&["pin", "pincode", "puk"]) && any(LOCKS) => {
            found(kind!("pin"), value, 60)
        }
        () if digits
            && (4..=8).contains(&value.len())
            && (any(&["otp", "totp", "mfa", "2fa", "tan"])
                || any(&["code"]) && (any(&["onetime", "sms", "verification"]) || any(&["one"]) && any(&["time"]))) =>
        {
            found(kind!("one_time_code"), value, 60)
        }
        () if any(&["recovery", "backup"])
            && any(&["code", "codes"])
            && made.digits >= 1
            && made.letters + made.digits >= 6
            && made.spaces == 0
            && (6..=40).contains(&value.len()) =>
        {
            found(kind!("recovery_code"), value, 60)
        }
        () if any(&["recovery", "backup"]) && any(&["phrase", "seed", "words"]) && mnemonic(&made) => {
            found(kind!("seed_phrase"), value, 85)
        }
        () if any(&["otp", "totp", "mfa"])
            && value.len() >= 16
            && value.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')) =>
        {
            found(kind!("one_time_secret"), value, 80)
        }
        // People put passwords where a code is asked for.
        () if any(&["pin", "pincode"]) && matches!(value::look(value), Look::Chosen | Look::Random) => {
            password::judge(value, &[])
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(name: &str) -> Vec<&str> {
        name.split('_').filter(|word| !word.is_empty()).collect()
    }

    #[test]
    fn names_say_what_their_values_are() {
        for (name, expected) in [
            ("password", Sense::Password),
            ("db_password", Sense::Password),
            ("mot_de_passe", Sense::Password),
            ("password_policy", Sense::Never),
            ("password_hash", Sense::Hash),
            ("password_reset_url", Sense::Never),
            ("api_key", Sense::Secret),
            ("api_key_id", Sense::Never),
            ("key", Sense::Key),
            ("primary_key", Sense::Secret),
            ("cache_key", Sense::Nothing),
            ("public_key", Sense::Never),
            ("max_tokens", Sense::Never),
            ("next_page_token", Sense::Never),
            ("token_type", Sense::Never),
            ("access_token", Sense::Secret),
            ("reset_password_token", Sense::Secret),
            ("secret_name", Sense::Never),
            ("client_secret", Sense::Secret),
            ("session_id", Sense::Session),
            ("name", Sense::Nothing),
        ] {
            assert_eq!(sense(&words(name)), expected, "{name}");
        }
    }

    #[test]
    fn named_passwords_are_found_however_weak_and_words_about_them_are_not() {
        for value in [
            "hunter2",
            "Summer2024!",
            "letmein",
            "123456",
            "qwerty",
            "Pa$$w0rd",
            "contraseña!",
            "correct-horse-9",
            "P@ssword",
            "abc123",
        ] {
            assert!(named(value, "password").is_some(), "`{value}`");
        }
        for value in [
            "Enter your password",
            "required",
            "string",
            "Password",
            "self.password",
            "newPassword",
            "user_password",
            "${PASSWORD}",
            "********",
            "true",
            "null",
            "8",
            "PASSWORD",
            "getPassword()",
            "Option<String>",
            "<password>",
            "Must be at least 8 characters.",
            "&str",
            "process.env.PW",
            "changeme",
        ] {
            assert!(named(value, "password").is_none(), "`{value}`");
        }
    }

    #[test]
    fn named_tokens_are_drawn_by_lot() {
        for value in
            ["9f86d081c7b2e4a3f86d081c7b2e4a39", "kQ9vT2mZ7Rw4bLs8", "6fa459ea-ee8a-3ca4-894e-db77e160355e", "x8K2m9Q4"]
        {
            assert!(named(value, "api_token").is_some(), "`{value}`");
        }
        for value in [
            "identifier",
            "Bearer",
            "token::Kind",
            "100",
            "v1.2.3",
            "2024-11-26",
            "access-token-cache",
            "ACCESS_TOKEN",
            "RS256",
            "secrets.TOKEN",
        ] {
            assert!(named(value, "api_token").is_none(), "`{value}`");
        }
    }

    fn named(value: &str, name: &str) -> Option<Judged> {
        judge(value, &Context { name: &words(name), ..Context::default() }).filter(|judged| judged.score >= 50)
    }

    #[test]
    fn lists_that_are_searched_are_sorted() {
        for list in [
            words::PASSWORDS,
            words::SECRETS,
            words::BEFORE_KEY,
            words::SESSIONS,
            words::CODES,
            words::NEVER,
            words::ABOUT,
            words::HASHES,
            words::DIGESTS,
            words::AMBIGUOUS,
            VENDORS,
        ] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }
}
