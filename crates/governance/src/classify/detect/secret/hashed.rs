//! Hashes of passwords in the notations that programs store them in.

use super::super::judge::{Class, Judged, Kind};

static HASH: Kind = Kind { class: Class::Secret, name: "password_hash" };

/// A notation: its mark, how many fields follow that `$` parts, and the least length of the last.
struct Notation {
    fields: usize,
    last: usize,
    mark: &'static str,
}

const NOTATIONS: &[Notation] = &[
    Notation { mark: "$1$", fields: 2, last: 22 },
    Notation { mark: "$2a$", fields: 2, last: 53 },
    Notation { mark: "$2b$", fields: 2, last: 53 },
    Notation { mark: "$2x$", fields: 2, last: 53 },
    Notation { mark: "$2y$", fields: 2, last: 53 },
    Notation { mark: "$5$", fields: 2, last: 43 },
    Notation { mark: "$5$rounds=", fields: 3, last: 43 },
    Notation { mark: "$6$", fields: 2, last: 86 },
    Notation { mark: "$6$rounds=", fields: 3, last: 86 },
    Notation { mark: "$7$", fields: 2, last: 43 },
    Notation { mark: "$8$", fields: 2, last: 43 },
    Notation { mark: "$9$", fields: 2, last: 43 },
    Notation { mark: "$H$", fields: 1, last: 31 },
    Notation { mark: "$P$", fields: 1, last: 31 },
    Notation { mark: "$apr1$", fields: 2, last: 22 },
    Notation { mark: "$argon2d$", fields: 4, last: 20 },
    Notation { mark: "$argon2i$", fields: 4, last: 20 },
    Notation { mark: "$argon2id$", fields: 4, last: 20 },
    Notation { mark: "$gy$", fields: 3, last: 43 },
    Notation { mark: "$krb5asrep$", fields: 3, last: 64 },
    Notation { mark: "$krb5tgs$", fields: 4, last: 64 },
    Notation { mark: "$pbkdf2$", fields: 3, last: 20 },
    Notation { mark: "$pbkdf2-sha256$", fields: 3, last: 40 },
    Notation { mark: "$pbkdf2-sha512$", fields: 3, last: 80 },
    Notation { mark: "$s0$", fields: 3, last: 40 },
    Notation { mark: "$scrypt$", fields: 3, last: 40 },
    Notation { mark: "$y$", fields: 3, last: 43 },
    Notation { mark: "bcrypt_sha256$$2b$", fields: 2, last: 53 },
    Notation { mark: "pbkdf2:sha256:", fields: 3, last: 64 },
    Notation { mark: "pbkdf2_sha1$", fields: 3, last: 27 },
    Notation { mark: "pbkdf2_sha256$", fields: 3, last: 43 },
    Notation { mark: "scrypt:", fields: 3, last: 60 },
    Notation { mark: "{CRYPT}$6$", fields: 2, last: 86 },
    Notation { mark: "{SHA}", fields: 1, last: 27 },
    Notation { mark: "{SSHA256}", fields: 1, last: 50 },
    Notation { mark: "{SSHA512}", fields: 1, last: 90 },
    Notation { mark: "{SSHA}", fields: 1, last: 32 },
];

/// The first hash that the value holds.
pub(super) fn judge(value: &str) -> Option<Judged> {
    if !value.contains(['$', '{']) {
        return None;
    }
    let mut before = b' ';
    for (start, byte) in value.bytes().enumerate() {
        let fresh = !before.is_ascii_alphanumeric();
        before = byte;
        if fresh && matches!(byte, b'$' | b'{' | b'b' | b'p' | b's') {
            let Some(rest) = value.get(start..) else { continue };
            if let Some(length) = NOTATIONS
                .iter()
                .filter(|notation| notation.mark.as_bytes().first() == Some(&byte))
                .filter_map(|notation| extent(rest, notation))
                .max()
            {
                return Some(Judged { end: start + length, kind: &HASH, score: 95, start });
            }
        }
    }
    None
}

/// The hash of a password by its name alone: hexadecimal of a digest's length.
pub(super) fn named(value: &str) -> Option<Judged> {
    let digest =
        matches!(value.len(), 32 | 40 | 56 | 64 | 96 | 128) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    digest.then_some(Judged { end: value.len(), kind: &HASH, score: 80, start: 0 })
}

fn extent(text: &str, notation: &Notation) -> Option<usize> {
    let body = text.strip_prefix(notation.mark)?;
    let end = body
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"./$+=,*@:_-".contains(&byte)))
        .unwrap_or(body.len());
    let mut fields = 0;
    let mut at = 0;
    for field in body.get(..end)?.split('$') {
        fields += 1;
        at += field.len();
        if fields == notation.fields {
            let field_end = field.split(':').next().filter(|first| first.len() >= notation.last).unwrap_or(field);
            let trimmed = field_end.trim_end_matches([',', ':', '.']).len();
            let length = trimmed.max(field_end.len().min(notation.last));
            return (length >= notation.last).then_some(notation.mark.len() + at - (field.len() - length));
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_are_known_and_fragments_are_not() {
        let blowfish = format!("$2b$12${}", "aB3./xY9Qz".repeat(6).get(..53).unwrap());
        let line = format!(
            "root:{}:19000:0:99999:7:::",
            format_args!("$6$saltsalt${}", "kQ9/vT2.m".repeat(10).get(..86).unwrap())
        );
        for (value, length) in [(blowfish.as_str(), 60), (line.as_str(), 98)] {
            let judged = judge(value).unwrap_or_else(|| panic!("{value}"));
            assert_eq!(judged.end - judged.start, length, "{value}");
        }
        for value in ["$2b$12$short", "costs $1$ or $5$", "{SHA}", "$6$", "price: $2a$"] {
            assert!(judge(value).is_none(), "{value}");
        }
    }
}
