//! Passwords: what people choose, told from what forms, schemas and programs have in a password's place.

use super::super::judge::{Class, Judged, Kind};
use super::value::{self, Look, Makeup};
use super::{randomness, words};

macro_rules! kind {
    ($name:literal) => {
        &Kind { class: Class::Secret, name: $name }
    };
}

/// A password: almost anything, so that all lies in what it must not be.
pub(super) fn judge(value: &str, name: &[&str]) -> Option<Judged> {
    let kind = kind!("password");
    let characters = value.chars().take(257).count();
    if !(3..=256).contains(&characters) {
        return None;
    }
    let made = Makeup::of(value);
    if made.spaces > 0 {
        return phrase(value, &made, name).filter(|_| !value::stands_in(value));
    }
    // `pass`, `pw` and `pwd` are names of much else: a stage that passed, a width, a directory.
    let short = name.last().is_some_and(|word| matches!(*word, "pass" | "pw" | "pwd" | "psw"));
    let score = match value::look(value) {
        Look::Digits if made.digits >= 4 && made.digits == value.len() && !short => 65,
        Look::Digits if made.digits >= 6 && made.marks + made.digits == value.len() => 60,
        Look::Digits => return None,
        Look::Random | Look::Hex | Look::Uuid => 90,
        Look::Chosen => 86,
        Look::Mixed if numbered(value) => return None,
        Look::Mixed => 82,
        Look::Letters if short => return None,
        Look::Letters => letters(value, &made)?,
    };
    if said(value) || value::stands_in(value) {
        return None;
    }
    found(kind, value, score)
}

/// A password of letters alone: a word is one where it is no name of a program's own.
fn letters(value: &str, made: &Makeup) -> Option<u8> {
    let joined = value.contains(['_', '-', '.', ':', '/', ',']);
    let camel =
        made.upper > 0 && made.upper < made.letters && value.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
    let capital = made.upper == 1 && value.starts_with(|one: char| one.is_uppercase());
    let shout = made.upper == made.letters;
    let ascii = value.is_ascii();
    let odd = !ascii || value.contains(['!', '?', '$', '@', '#']);
    let score = match () {
        () if odd => 75,
        () if camel
            && value.len() >= 8
            && randomness::bits(value) >= if made.upper > 2 { 41 } else { randomness::DRAWN } =>
        {
            72
        }
        () if diceware(value) => 58,
        () if joined || camel || shout && (value.len() < 8 || !randomness::drawn(value)) => return None,
        () if capital => 45,
        () if value.len() < 5 => return None,
        () if own(value) => return None,
        () => 55,
    };
    Some(score)
}

/// Four and more words of everyday with a sign between each two, as generators of pass phrases write them.
fn diceware(value: &str) -> bool {
    let sign = if value.contains('-') { '-' } else { '.' };
    let is_word = |word: &str| {
        (3..=9).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_lowercase())
            && !said(word)
            && !matches!(word, "api" | "app" | "auth" | "database" | "admin" | "server" | "service" | "policy" | "name")
    };
    value.len() <= 64 && value.split(sign).count() >= 4 && value.split(sign).all(is_word)
}

/// A name that a program gives to what holds a password.
fn own(value: &str) -> bool {
    const STARTS: &[&str] = &[
        "your", "my", "new", "old", "user", "enter", "the", "current", "confirm", "db", "admin", "get", "set", "is",
        "has", "raw", "plain", "hash", "encrypt",
    ];
    const ENDS: &[&str] =
        &["password", "passwd", "pass", "pwd", "secret", "token", "key", "string", "str", "value", "field", "input"];
    let start = STARTS.iter().any(|start| value.starts_with(start));
    let end = ENDS.iter().any(|end| value.ends_with(end));
    start && end
}

/// A name of a type or variable that has a number: `u8`, `arg0`, `utf8`, `v2`.
fn numbered(value: &str) -> bool {
    const NAMES: &[&str] = &[
        "utf8",
        "utf-8",
        "base64",
        "sha256",
        "sha512",
        "sha1",
        "md5",
        "oauth2",
        "x509",
        "argon2",
        "argon2id",
        "pbkdf2",
        "scram-sha-1",
        "scram-sha-256",
    ];
    let word = value.trim_end_matches(|one: char| one.is_ascii_digit());
    if value.len() > word.len()
        && matches!(
            word,
            "arg"
                | "u"
                | "i"
                | "v"
                | "p"
                | "s"
                | "tmp"
                | "var"
                | "param"
                | "field"
                | "input"
                | "value"
                | "str"
                | "int"
                | "char"
                | "varchar"
        )
    {
        return true;
    }
    value.starts_with(|one: char| one.is_ascii_digit())
        && value.bytes().all(|byte| byte.is_ascii_digit() || b".-:/TZ".contains(&byte))
        || NAMES.iter().any(|name| value.eq_ignore_ascii_case(name))
}

/// Several words: a pass phrase where the name says so, else prose.
fn phrase(value: &str, made: &Makeup, name: &[&str]) -> Option<Judged> {
    let kind = kind!("passphrase");
    let named = name.iter().any(|word| matches!(*word, "passphrase" | "phrase" | "mnemonic" | "seed"));
    let spaces = made.spaces;
    let sentence = value.ends_with(['.', ':', '…'])
        || value.starts_with(|one: char| one.is_uppercase()) && made.upper == 1 && spaces >= 2 && made.digits == 0;
    match () {
        () if sentence || spaces > 24 || value.contains(['\n', '(', ')', '{', '}', '<', '>', '"']) => None,
        () if named && spaces >= 2 => found(kind, value, 75),
        () if spaces <= 2 && made.digits >= 1 && made.marks >= 1 && value.len() <= 40 => {
            found(kind!("password"), value, 60)
        }
        () => None,
    }
}

/// Words that a form, a schema or a message has in a password's place.
pub(super) fn said(value: &str) -> bool {
    const SAID: &[&str] = &[
        "absent",
        "admin_password",
        "allow",
        "another",
        "any",
        "arg",
        "args",
        "array",
        "ask",
        "assert",
        "async",
        "auto",
        "await",
        "basic",
        "bearer",
        "bool",
        "boolean",
        "both",
        "buf",
        "buffer",
        "bytes",
        "callback",
        "cfg",
        "char",
        "compat",
        "config",
        "configuration",
        "confirm",
        "confirmed",
        "const",
        "credential",
        "credentials",
        "current",
        "data",
        "default",
        "deny",
        "disabled",
        "each",
        "empty",
        "enabled",
        "encrypted",
        "enter",
        "entered",
        "entry",
        "error",
        "exampl",
        "expired",
        "expression",
        "external",
        "failed",
        "false",
        "field",
        "files",
        "final",
        "forgot",
        "forgotten",
        "func",
        "function",
        "generated",
        "given",
        "hash",
        "inherit",
        "input",
        "integer",
        "invalid",
        "item",
        "kennwort",
        "key",
        "keyword",
        "lambda",
        "length",
        "let",
        "line",
        "literal",
        "local",
        "login",
        "manual",
        "match",
        "missing",
        "new",
        "nil",
        "none",
        "null",
        "number",
        "object",
        "off",
        "optional",
        "options",
        "opts",
        "other",
        "param",
        "params",
        "pass",
        "passcode",
        "passed",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "passwort",
        "plain",
        "plaintext",
        "present",
        "prompt",
        "protected",
        "provided",
        "pwd",
        "random",
        "raw",
        "request",
        "required",
        "reset",
        "response",
        "result",
        "return",
        "salt",
        "secret",
        "secrets",
        "secure",
        "self",
        "senha",
        "setting",
        "signup",
        "some",
        "source",
        "split",
        "static",
        "stdin",
        "stored",
        "str",
        "string",
        "strong",
        "supplied",
        "systemd",
        "target",
        "test",
        "text",
        "this",
        "token",
        "tokens",
        "true",
        "type",
        "typeof",
        "undefined",
        "unknown",
        "unset",
        "user",
        "username",
        "valid",
        "value",
        "var",
        "varchar",
        "void",
        "weak",
        "wrong",
        "yes",
        "yield",
    ];
    let mut lower = [0u8; 16];
    let Some(slots) = lower.get_mut(..value.len()) else { return false };
    slots.copy_from_slice(value.as_bytes());
    slots.make_ascii_lowercase();
    std::str::from_utf8(slots).is_ok_and(|word| words::has(SAID, word))
}

fn found(kind: &'static Kind, value: &str, score: u8) -> Option<Judged> {
    Some(Judged { end: value.len(), kind, score, start: 0 })
}
