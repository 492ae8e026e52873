//! What a value looks like: a secret, or what stands in its place.

use super::randomness;
use super::shapes;

/// What a run of characters without spaces looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Digits alone.
    Digits,
    /// Hexadecimal digits, of both sorts, 16 or more.
    Hex,
    /// Letters alone, or words joined.
    Letters,
    /// Letters and digits as people write them: names with numbers, versions, dates.
    Mixed,
    /// Drawn by lot.
    Random,
    /// Letters, digits and marks as people choose them for passwords.
    Chosen,
    /// Eight, four, four, four and twelve letters or digits.
    Uuid,
}

/// How many characters of each sort a value has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Makeup {
    /// Digits.
    pub(super) digits: usize,
    /// Letters of either case, and every letter beyond ASCII.
    pub(super) letters: usize,
    /// `!`, `@` and the like.
    pub(super) marks: usize,
    /// Spaces and tabs.
    pub(super) spaces: usize,
    /// Capital letters.
    pub(super) upper: usize,
}

impl Makeup {
    /// Of the value.
    pub(super) fn of(value: &str) -> Self {
        let mut made = Self::default();
        for byte in value.bytes() {
            match byte {
                b'0'..=b'9' => made.digits += 1,
                b'A'..=b'Z' => {
                    made.upper += 1;
                    made.letters += 1;
                }
                b'a'..=b'z' | 0xC0.. => made.letters += 1,
                b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'?' | b'+' | b'~' | b'=' => made.marks += 1,
                b' ' | b'\t' | b'\n' | b'\r' => made.spaces += 1,
                _ => {}
            }
        }
        made
    }
}

/// What a value of at least four characters, without spaces, looks like.
pub(super) fn look(value: &str) -> Look {
    let made = Makeup::of(value);
    if made.letters == 0 {
        return if made.marks > 1 && made.digits > 0 { Look::Chosen } else { Look::Digits };
    }
    if uuid(value) {
        return Look::Uuid;
    }
    if value.len() >= 16 && made.digits > 1 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Look::Hex;
    }
    let drawn = randomness::drawn(value);
    match made.digits {
        0 if drawn && value.len() >= 14 => Look::Random,
        0 if made.marks >= 1 => Look::Chosen,
        0 => Look::Letters,
        _ if drawn && value.len() >= 12 => Look::Random,
        many if value.len() >= 16 && many >= 4 && many * 8 >= value.len() && !dated(value) => Look::Random,
        _ if made.marks >= 1 => Look::Chosen,
        _ => Look::Mixed,
    }
}

fn uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_alphanumeric(),
        })
}

/// A time, a version, a number of a type, a name of a file with its number.
pub(super) fn dated(value: &str) -> bool {
    let bytes = value.as_bytes();
    let number = value.trim_end_matches(|one: char| one.is_ascii_digit()).trim_end_matches(['u', 'i', 'f']);
    if number.len() < value.len()
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return true;
    }
    let written = bytes.iter().all(|byte| byte.is_ascii_digit() || b"-:.TZ+_/ ".contains(byte));
    written
        || value.split(['-', '.', '_', '/', '#', ':']).filter(|part| !part.is_empty()).all(plain)
            && value.contains(['-', '.', '_', '/', '#', ':'])
}

/// A word, a number of up to eight digits, or a word with a number of up to five digits behind it.
fn plain(part: &str) -> bool {
    let word = part.trim_end_matches(|one: char| one.is_ascii_digit());
    let digits = part.len() - word.len();
    word.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (word.is_empty() && digits <= 8 || digits <= 5)
        && !(word.len() >= 12 && randomness::drawn(word))
}

/// Whether the value stands where a secret would and is none: a reference, a form to fill in, a mask, a piece of a program.
pub(super) fn stands_in(value: &str) -> bool {
    filled_in(value) || program(value) || located(value)
}

/// Whether a form or template has it in the place of a secret, where no program can stand: within an address.
pub(super) fn filled_in(value: &str) -> bool {
    value.len() < 3 || wrapped(value) || masked(value) || spoken(value)
}

fn wrapped(value: &str) -> bool {
    const OPEN: &[&str] = &[
        "${", "$(", "{{", "%(", "#{", "<%", "[[", "<", "!ref", "!vault", "!secret", "!sub", "!getatt", "!env", "&",
        "@{", "%{", "\\$", "$$", "ENC[", "*mut", "*const", "(",
    ];
    let pair = |open: char, close: char| value.starts_with(open) && value.ends_with(close);
    OPEN.iter().any(|open| starts(value.as_bytes(), open))
        || value.starts_with('-') && value.contains('=')
        || ["${", "{{", "$(", "#{", "<%", "\" +", "' +", "\" .", "' ."].iter().any(|within| value.contains(within))
        || pair('{', '}')
        || pair('[', ']')
        || pair('(', ')')
        || (pair('%', '%') || pair('@', '@')) && identifier(value.trim_matches(['%', '@']))
        || value.strip_prefix("__").is_some_and(|rest| rest.ends_with("__"))
        || value.strip_prefix('$').is_some_and(|rest| {
            identifier(rest)
                && (rest.bytes().all(|byte| !byte.is_ascii_digit())
                    || !rest.bytes().any(|byte| byte.is_ascii_lowercase()))
        })
        || value.strip_prefix(':').is_some_and(identifier)
}

fn identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
}

/// One character over and over, dots, stars.
fn masked(value: &str) -> bool {
    let mut characters = value.chars();
    let first = characters.next();
    characters.all(|one| Some(one) == first)
        || value.contains("***")
        || value.contains("...")
        || value.contains(['…', '•', '●', '█'])
        || value.len() >= 8 && shapes::dull(value)
        || value.chars().all(|one| "*.xX#-_? /+=".contains(one))
}

/// A call, a path of names, an operator.
fn program(value: &str) -> bool {
    const OPERATORS: &[&str] = &[
        "::", "->", "=>", " == ", " != ", " && ", " || ", "()", "[\"", "['", "();", ");", "?.", " + ", " | ", " as ",
        " if ", "\\n",
    ];
    if OPERATORS.iter().any(|operator| value.contains(operator)) || pattern(value) {
        return true;
    }
    if let Some((callee, rest)) = value.split_once(['(', '[', '<']) {
        let named = callee.len() >= 2 && identifier(callee) && (callee.len() < 12 || !randomness::drawn(callee));
        if named && (rest.ends_with([')', ']', '>', ',', ';', '{', '(']) || rest.is_empty() || rest.contains(", ")) {
            return true;
        }
    }
    let path = value.trim_start_matches(['&', '*', '!']);
    // The next member of an object, where a program has no spaces.
    let path = path.split_once(',').filter(|(_, rest)| rest.contains([':', '='])).map_or(path, |(first, _)| first);
    path.contains('.')
        && path.split('.').all(|name| {
            name.starts_with(|one: char| one.is_ascii_alphabetic() || one == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_?!-".contains(&byte))
        })
        && path
            .bytes()
            .all(|byte| byte != b'!' || path.ends_with('!') && !path.bytes().any(|byte| byte.is_ascii_digit()))
        && !(path.len() >= 20 && randomness::drawn(path))
        && !path.split('.').any(|name| name.len() >= 8 && randomness::drawn(name))
}

/// Whether it is the start of a call whose arguments were taken apart, or a name of several words with one number at most: `not_in_rfc6265bis_draft`.
pub(super) fn called(value: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut words = 0_usize;
    let mut others = 0_usize;
    for word in value.split('_') {
        *(if is_word(word) { &mut words } else { &mut others }) += 1;
    }
    value.contains('(') || words >= 3 && others <= 1
}

/// Whether a class of letters that may repeat is in it, as in expressions that texts are matched with: `[A-Za-z0-9_-]+`.
fn pattern(value: &str) -> bool {
    value.split('[').skip(1).any(|class| {
        class.split_once(']').is_some_and(|(letters, behind)| {
            matches!(letters.as_bytes(), [b'a' | b'A' | b'0', b'-', b'z' | b'Z' | b'9' | b'f' | b'F', ..])
                && behind.starts_with(['+', '*', '{', '?'])
        })
    })
}

/// Words that say that the secret stands elsewhere or is yet to be filled in.
fn spoken(value: &str) -> bool {
    value.bytes().enumerate().any(|(at, byte)| {
        let words = starting(byte.to_ascii_lowercase());
        !words.is_empty() && value.as_bytes().get(at..).is_some_and(|rest| words.iter().any(|word| starts(rest, word)))
    })
}

/// Whether the text starts with the word, which is in lower case, in either case of its letters.
fn starts(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// Of those words, the ones that start with the letter.
const fn starting(letter: u8) -> &'static [&'static str] {
    match letter {
        b'-' => &["-here"],
        b'<' => &["<secret"],
        b'_' => &["_here"],
        b'c' => &["change me", "change-me", "change_me", "changeit", "changeme"],
        b'd' => &["dummy"],
        b'e' => &["enter your", "enter-", "enter_", "example"],
        b'f' => &["fill in", "fill-", "fill_", "filtered", "fixme"],
        b'g' => &["getenv", "goes here", "goes-here"],
        b'h' => &["hidden"],
        b'i' => &["insert ", "insert-", "insert_"],
        b'k' => &["keyvault"],
        b'l' => &["lorem"],
        b'm' => &[
            "masked",
            "my-api",
            "my-password",
            "my-secret",
            "my-token",
            "my_api",
            "my_password",
            "my_secret",
            "my_token",
            "mysecret",
        ],
        b'n' => &["not set", "not-set", "not_set", "notset"],
        b'o' => &["os.environ"],
        b'p' => &["placeholder", "process.env", "put-your", "put_"],
        b'r' => &["redacted", "replace me", "replace-", "replace_", "replaceme"],
        b's' => &["secretkeyref", "some-secret", "some_secret"],
        b'x' => &["xxxx"],
        b'y' => &["your ", "your-", "your_", "youra", "yourp", "yours", "yourt"],
        _ => &[],
    }
}

/// A path, an address, a name in a store of secrets.
fn located(value: &str) -> bool {
    const SCHEMES: &[&str] = &[
        "http:",
        "https:",
        "arn:",
        "op:",
        "file:",
        "env:",
        "vault:",
        "ssm:",
        "kms:",
        "akv:",
        "sm:",
        "secret:",
        "secrets:",
        "projects/",
        "data:",
        "ref+",
        "gcp:",
        "azurekeyvault",
        "@microsoft",
        "urn:",
        "mailto:",
        "s3:",
        "gs:",
        "docker:",
        "git@",
        "ssh-",
        "sha256:",
        "sha512-",
        "sha384-",
        "sha1-",
        "sha1:",
    ];
    SCHEMES.iter().any(|scheme| {
        value.as_bytes().get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    }) || value.starts_with("./")
        || value.starts_with("../")
        || value.starts_with("~/")
        || value.as_bytes().get(1..3) == Some(b":\\")
        || (value.starts_with('/') || value.contains('/') && !value.contains(['+', '=', '!', '$', '@', '#']))
            && pathlike(value)
}

fn pathlike(value: &str) -> bool {
    value
        .split('/')
        .filter(|part| !part.is_empty())
        .all(|part| part.split(['.', '-', '_']).all(plain) || part.starts_with('{') || part.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_is_no_secret() {
        for value in [
            "${DB_PASSWORD}",
            "$DB_PASSWORD",
            "{{ password }}",
            "<your-key>",
            "process.env.TOKEN",
            "self.password",
            "os.environ[\"KEY\"]",
            "xxxxxxxx",
            "********",
            "config.get(\"password\")",
            "changeme",
            "Option<String>",
            "%DB_PASS%",
            "[REDACTED]",
            "secrets.GITHUB_TOKEN",
            "vault:secret/data/db",
            "/run/secrets/db_password",
            "arn:aws:secretsmanager:eu-west-1:111111111111:secret:db",
            "YOUR_API_KEY",
            "secret/data/app",
            "sk-...",
            "https://login.host.test/token",
            "<%= secret %>",
            "SecretString::from(value)",
            "getPassword()",
            "op://vault/item/password",
        ] {
            assert!(stands_in(value), "`{value}`");
        }
        for value in [
            "hunter2",
            "Summer2024!",
            "$ecret1!",
            "p@ss/w0rd",
            "aB3/xY9+Qz==",
            "Tr0ub4dor&3",
            "x(9)kQ2!",
            "s3cr3t.w0rd!",
        ] {
            assert!(!stands_in(value), "`{value}`");
        }
    }

    #[test]
    fn runs_look_like_what_they_are() {
        for (value, expected) in [
            ("1234567890", Look::Digits),
            ("0c9f86d081884c7d", Look::Hex),
            ("6fa459ea-ee8a-3ca4-894e-db77e160355e", Look::Uuid),
            ("userName", Look::Letters),
            ("release-2024-11-26", Look::Mixed),
            ("kQ9vT2mZ7Rw4bLs8", Look::Random),
            ("Summer2024!", Look::Chosen),
        ] {
            assert_eq!(look(value), expected, "`{value}`");
        }
    }
}
