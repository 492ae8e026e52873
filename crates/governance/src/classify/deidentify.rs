//! Changes what was found in a message, in place: redacted, tagged, masked, hashed, made a token, or dropped with its member.
//!
//! Values keep their JSON types and the message stays JSON, at whatever depth of JSON inside of JSON they stand: every replacement is made of characters that no
//! level escapes. What is found is not decided here, and what is to become of it neither. Start at [`deidentify`].

mod cut;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::token::TokenKey;
use crate::mission::Treatment;
use cut::Place;
pub(super) use cut::texts;

/// The keys of what values become, which are a home's own.
#[derive(Debug)]
pub struct Keys {
    /// Of hashes.
    pub hash: HashKey,
    /// Of tokens.
    pub token: TokenKey,
}

/// The key of hashes, which is a home's own.
pub struct HashKey(Zeroizing<[u8; 32]>);

impl HashKey {
    /// Takes 32 random bytes for HMAC-SHA256 (RFC 2104).
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashKey").finish_non_exhaustive()
    }
}

/// A value that was found, and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark<'m> {
    /// Its class.
    pub class: &'m str,
    /// Where it stands, in bytes of the message.
    pub range: Range<usize>,
    /// Its kind.
    pub kind: &'m str,
    /// What is to become of it.
    pub treatment: Treatment,
}

/// A message after its values were changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deidentified {
    /// How many values of each class and kind got which treatment in the end, sorted.
    pub applied: BTreeMap<(String, String, Treatment), u32>,
    /// The message.
    pub text: Vec<u8>,
}

/// The message is not the JSON that it was taken for, or a mark lies outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is not JSON, or what was found in it does not lie within its values")]
pub struct NotJson;

/// Changes `text`, one JSON value, at `marks`.
///
/// What cannot be done as asked is done more strictly: what has no member of its own to drop, what is spelt with escapes, and what is too long for a token or runs into the word
/// after it, is redacted; a number becomes 0 and `true` becomes `false`, because text in their place would break the schema that the message keeps; in the name of a member
/// every treatment is a hash, because two names must not become one. What is of several classes that ask for different things is redacted. Tokens are those of `mission`.
///
/// # Errors
/// [`NotJson`]: then nothing of it may go on.
pub fn deidentify(text: &[u8], marks: &[Mark<'_>], mission: &str, keys: &Keys) -> Result<Deidentified, NotJson> {
    let mut marks: Vec<Mark<'_>> = marks.iter().filter(|mark| mark.treatment != Treatment::Keep).cloned().collect();
    marks.sort_by_key(|mark| (mark.range.start, std::cmp::Reverse(mark.range.end)));
    agree(&mut marks);
    let marks: Vec<&Mark<'_>> = marks.iter().collect();
    let places = cut::places(text, &marks)?;
    let mut applied = BTreeMap::new();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for (mark, place) in marks.iter().zip(places) {
        let value = text.get(mark.range.clone()).ok_or(NotJson)?;
        let (range, treatment, replacement) = match place {
            Place::Member(range) => (range, Treatment::Drop, String::new()),
            Place::Name(range) => (range, Treatment::Hash, hashed(mark, value, &keys.hash)),
            Place::Literal(range) => {
                let replacement = match text.get(range.clone()).and_then(|literal| literal.first()) {
                    Some(b't' | b'f') => "false",
                    Some(b'n') => "null",
                    _ => "0",
                };
                (range, Treatment::Redact, replacement.to_owned())
            }
            Place::Text(range) => {
                let plain = std::str::from_utf8(value).ok().filter(|_| range == mark.range);
                let plain = plain.filter(|value| !value.contains(['"', '\\']) && !value.contains(char::is_control));
                let (treatment, replacement) = match (mark.treatment, plain) {
                    (Treatment::Token, Some(plain)) => in_token(mark, plain, text.get(range.end), mission, keys),
                    _ => in_text(mark, plain, keys),
                };
                (range, treatment, replacement)
            }
        };
        *applied.entry((mark.class.to_owned(), mark.kind.to_owned(), treatment)).or_insert(0) += 1;
        edits.push((range, replacement));
    }
    Ok(Deidentified { applied, text: edited(text, edits) })
}

/// What is of several classes that do not ask for the same is redacted; `marks` are sorted by their starts.
fn agree(marks: &mut [Mark<'_>]) {
    let mut rest = marks;
    while let Some(first) = rest.first() {
        let (mut end, treatment) = (first.range.end, first.treatment);
        let length = rest.iter().take_while(|mark| {
            let meets = mark.range.start < end;
            end = if meets { end.max(mark.range.end) } else { end };
            meets
        });
        let length = length.count().max(1);
        let Some((meeting, others)) = rest.split_at_mut_checked(length) else { break };
        if meeting.iter().any(|mark| mark.treatment != treatment) {
            meeting.iter_mut().for_each(|mark| mark.treatment = Treatment::Redact);
        }
        rest = others;
    }
}

/// What stands in the place of a value inside of a text; `plain` is the value where it is spelt without escapes.
fn in_text(mark: &Mark<'_>, plain: Option<&str>, keys: &Keys) -> (Treatment, String) {
    let is_email = mark.kind == EMAIL;
    let Some(value) = plain else { return (Treatment::Redact, redacted(is_email)) };
    let replacement = match mark.treatment {
        Treatment::Tag if is_email => format!("{}.{}@tag.invalid", mark.class, mark.kind),
        Treatment::Tag => format!("[{}.{}]", mark.class, mark.kind),
        Treatment::Mask => masked(mark, value),
        Treatment::Hash => hashed(mark, value.as_bytes(), &keys.hash),
        Treatment::Drop | Treatment::Keep | Treatment::Redact | Treatment::Token => {
            return (Treatment::Redact, redacted(is_email));
        }
    };
    (mark.treatment, replacement)
}

/// The token of `plain`, before the byte `next`: a word that goes on would be no token any more.
fn in_token(mark: &Mark<'_>, plain: &str, next: Option<&u8>, mission: &str, keys: &Keys) -> (Treatment, String) {
    let goes_on = next.is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_');
    let token = keys.token.token(mission, mark.class, mark.kind, plain).filter(|_| !goes_on);
    token.map_or_else(|| (Treatment::Redact, redacted(mark.kind == EMAIL)), |token| (Treatment::Token, token))
}

/// The kind whose replacements are addresses too, because schemas ask for that format. They lead nowhere (RFC 2606).
const EMAIL: &str = "email";

fn redacted(is_email: bool) -> String {
    if is_email { "redacted@redacted.invalid".to_owned() } else { "[redacted]".to_owned() }
}

fn hashed(mark: &Mark<'_>, value: &[u8], key: &HashKey) -> String {
    let mut hex = String::new();
    // A key of 32 bytes is one that HMAC takes.
    if let Ok(mac) = Hmac::<Sha256>::new_from_slice(&*key.0) {
        let digest = mac.chain_update(mark.class).chain_update([0]).chain_update(value).finalize().into_bytes();
        hex = hex::encode(digest.get(..16).unwrap_or_default());
    }
    if mark.kind == EMAIL { format!("{hex}@hash.invalid") } else { format!("[{}.{}:{hex}]", mark.class, mark.kind) }
}

/// How many letters and digits stay at the end, of values that have twice as many.
const MASK_KEEPS: usize = 4;

fn masked(mark: &Mark<'_>, value: &str) -> String {
    if mark.class == "secret" {
        return "********".to_owned();
    }
    if let (EMAIL, Some((local, domain))) = (mark.kind, value.rsplit_once('@')) {
        let first = local.chars().next().filter(char::is_ascii_alphanumeric).map(String::from).unwrap_or_default();
        return format!("{first}***@{domain}");
    }
    let count = value.chars().filter(|letter| letter.is_alphanumeric()).count();
    let hidden = if count >= 2 * MASK_KEEPS { count - MASK_KEEPS } else { count };
    let mut seen = 0;
    value
        .chars()
        .map(|letter| {
            let counts = letter.is_alphanumeric();
            seen += usize::from(counts);
            if counts && seen <= hidden { '*' } else { letter }
        })
        .collect()
}

/// `text` with the ranges replaced; of ranges that meet, the later one gives nothing.
fn edited(text: &[u8], mut edits: Vec<(Range<usize>, String)>) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let (mut changed, mut at) = (Vec::with_capacity(text.len()), 0);
    for (range, replacement) in edits {
        if range.start >= at {
            changed.extend_from_slice(text.get(at..range.start).unwrap_or_default());
            changed.extend_from_slice(replacement.as_bytes());
        }
        at = at.max(range.end);
    }
    changed.extend_from_slice(text.get(at..).unwrap_or_default());
    changed
}

#[cfg(test)]
mod tests;
