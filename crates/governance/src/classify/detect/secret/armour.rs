//! Private keys in armour: PEM, OpenPGP, PuTTY, and keys in JSON.

use super::super::judge::{Class, Judged, Kind};
use super::check;

static PRIVATE: Kind = Kind { class: Class::Secret, name: "private_key" };
static PGP: Kind = Kind { class: Class::Secret, name: "pgp_private_key" };
static PUTTY: Kind = Kind { class: Class::Secret, name: "putty_private_key" };
static JWK: Kind = Kind { class: Class::Secret, name: "jwk_private_key" };

/// Fewest characters of base64 that a line of a key has.
const BODY_MIN: usize = 40;

/// Bytes after the first line in which its first line of base64 stands: headers may come before it.
const HEAD_BYTES: usize = 512;

/// The first private key that the value holds, from its first line to its last, or to the end where the last is missing.
pub(super) fn judge(value: &str) -> Option<Judged> {
    let dashes = value.len() > BODY_MIN && value.contains('-');
    if !dashes && !value.contains('"') {
        return None;
    }
    pem(value).or_else(|| putty(value)).or_else(|| jwk(value))
}

fn pem(value: &str) -> Option<Judged> {
    let mut from = 0;
    while let Some(found) = value.get(from..)?.find("-----BEGIN ") {
        let start = from + found;
        from = start + "-----BEGIN ".len();
        let (label, body) = value.get(from..)?.split_once("-----")?;
        let pgp = label == "PGP PRIVATE KEY BLOCK";
        if label.len() > 40 || !(pgp || label.ends_with("PRIVATE KEY")) {
            continue;
        }
        let body_at = from + label.len() + "-----".len();
        let end = match body.find("-----END ") {
            Some(last) => {
                let after = body_at + last + "-----END ".len();
                let tail = value.get(after..)?;
                after + tail.find("-----").map_or(tail.len().min(label.len()), |at| at + "-----".len())
            }
            None => value.len(),
        };
        let inner = body.split("-----END ").next().unwrap_or("");
        if letters(inner.as_bytes()) >= BODY_MIN && value.is_char_boundary(end) {
            return Some(Judged { end, kind: if pgp { &PGP } else { &PRIVATE }, score: 99, start });
        }
    }
    None
}

/// The longest run of base64 in the head of the body, or 0 where it is one of few characters.
fn letters(body: &[u8]) -> usize {
    let mut seen = 0u128;
    let (mut run, mut longest) = (0, 0);
    for byte in body.iter().take(HEAD_BYTES) {
        if byte.is_ascii_alphanumeric() || b"+/=".contains(byte) {
            seen |= 1 << (byte & 0x7F);
            run += 1;
            longest = longest.max(run);
        } else {
            run = 0;
        }
    }
    if seen.count_ones() > 8 { longest } else { 0 }
}

fn putty(value: &str) -> Option<Judged> {
    let start = value.find("PuTTY-User-Key-File-")?;
    let private = value.get(start..)?.find("Private-Lines:")?;
    (letters(value.as_bytes().get(start + private..)?) >= BODY_MIN).then_some(Judged {
        end: value.len(),
        kind: &PUTTY,
        score: 97,
        start,
    })
}

/// The private member of a JSON Web Key.
fn jwk(value: &str) -> Option<Judged> {
    if !check::contains(value.as_bytes(), b"\"kty\"") {
        return None;
    }
    let member = value.find("\"d\"")?;
    let from = member + "\"d\"".len();
    let rest = value.get(from..)?;
    let inner = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let start = value.len() - inner.len();
    let length = inner.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)).count();
    (length >= 32).then_some(Judged { end: start + length, kind: &JWK, score: 95, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whole_and_empty_armour_is_not() {
        let body = "aB3xY9QzkQ9vT2mZ7Rw4bLs8".repeat(4);
        let key = format!("-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----");
        let judged = judge(&format!("k: {key} ok")).unwrap();
        assert_eq!((judged.start, judged.end), (3, 3 + key.len()));
        assert_eq!(
            judge(&format!("-----BEGIN PRIVATE KEY-----\\n{body}")).map(|judged| judged.kind.name),
            Some("private_key")
        );
        for value in [
            "-----BEGIN PRIVATE KEY-----\nanything\n-----END PRIVATE KEY-----".to_owned(),
            format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"),
            "-----BEGIN CERTIFICATE-----".to_owned(),
            "-----BEGIN".to_owned(),
        ] {
            assert!(judge(&value).is_none(), "{value}");
        }
    }

    #[test]
    fn the_private_member_of_a_web_key_is_found() {
        let member = "aB3xY9QzkQ9vT2mZ7Rw4bLs8aB3xY9QzkQ9vT2mZ7Rw";
        let key = format!(r#"{{"kty":"EC","crv":"P-256","x":"{member}","d": "{member}"}}"#);
        let judged = judge(&key).unwrap();
        assert_eq!(key.get(judged.start..judged.end), Some(member));
        assert!(judge(&key.replace("\"d\"", "\"y\"")).is_none());
    }
}
